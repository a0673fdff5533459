-- Which user agents send the events?
-- Answer: context_ua, events, users, robot.

SELECT context_ua, count() AS events, uniqExact(user_id) AS users, max(robot) AS robot
FROM events
WHERE network_id = {network:String} AND time BETWEEN {from:Date} AND {to:Date} + 1 AND context_ua != ''
GROUP BY context_ua
ORDER BY events DESC, context_ua
LIMIT 20
