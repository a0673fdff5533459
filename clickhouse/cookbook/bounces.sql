-- How many sessions are of a single event?
-- Answer: device_class, sessions, bounces, share.

SELECT device_class, count() AS sessions, countIf(events = 1) AS bounces, round(bounces / sessions, 3) AS share
FROM sessions
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
GROUP BY device_class
ORDER BY device_class
