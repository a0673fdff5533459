-- What did one user do, event by event, in which session?
-- Answer: time, type, action, content_id, device_class, session_id, session_began.

SELECT e.time AS time, e.type AS type, e.action AS action, e.content_id AS content_id, e.device_class AS device_class, s.session_id AS session_id, s.started_at AS session_began
FROM (
    SELECT * FROM events
    WHERE network_id = {network:String} AND user_id = {user:String} AND time BETWEEN {from:Date} AND {to:Date} + 1 AND kind IN ('signal', 'logged_out', 'backgrounded')
) AS e
ASOF LEFT JOIN (
    SELECT * FROM sessions
    WHERE network_id = {network:String} AND user_id = {user:String} AND started_at BETWEEN {from:Date} - 2 AND {to:Date} + 2
) AS s ON s.device_id = e.device_id AND e.time >= s.started_at
ORDER BY e.time, e.event_id
LIMIT 50
