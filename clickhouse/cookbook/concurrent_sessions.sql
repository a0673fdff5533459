-- How many sessions were open at once, by hour?
-- Answer: hour (UTC), peak (most at any second of it at which one began or ended).

SELECT toStartOfHour(at) AS hour, max(open) AS peak
FROM (
    SELECT edge.1 AS at, sum(edge.2) OVER (ORDER BY edge.1, edge.2 DESC ROWS UNBOUNDED PRECEDING) AS open
    FROM (
        SELECT arrayJoin([(started_at, 1), (ended_at, -1)]) AS edge
        FROM sessions
        WHERE network_id = {network:String} AND started_at BETWEEN {from:Date} - 1 AND {to:Date} + 1
    )
)
WHERE at BETWEEN {from:Date} AND {to:Date} + 1
GROUP BY hour
ORDER BY hour
