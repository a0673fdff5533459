-- What was looked at most?
-- Answer: content_id, views, users.

SELECT content_id, count() AS views, uniqExact(user_id) AS users
FROM events
WHERE network_id = {network:String} AND time BETWEEN {from:Date} AND {to:Date} + 1 AND action = 'view'
GROUP BY content_id
ORDER BY views DESC, content_id
LIMIT 20
