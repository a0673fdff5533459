-- How much of the activity is that of robots?
-- Answer: date, sessions, robot_sessions, people (users without a robot's session), robots.

SELECT date, count() AS sessions, countIf(robot) AS robot_sessions, uniqExactIf(user_id, NOT robot) AS people, uniqExactIf(user_id, robot) AS robots
FROM sessions
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
GROUP BY date
ORDER BY date
