-- How many users viewed, then liked, then commented, then shared, each within an hour of the view?
-- Answer: step, users (who reached it), share (of those who viewed).

SELECT step, countIf(reached >= step) AS users, round(users / greatest(1, countIf(reached >= 1)), 3) AS share
FROM (
    SELECT user_id, windowFunnel(3600000)(toUInt64(toUnixTimestamp64Milli(time)), action = 'view', action = 'like', action = 'comment', action = 'share') AS reached
    FROM events
    WHERE network_id = {network:String} AND time BETWEEN {from:Date} AND {to:Date} + 1
    GROUP BY user_id
)
ARRAY JOIN [1, 2, 3, 4] AS step
GROUP BY step
ORDER BY step
