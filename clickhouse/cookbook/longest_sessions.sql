-- Which sessions were the longest?
-- Answer: user_id, device_class, started_at (UTC), ended_at, duration_s, events, end_reason.

SELECT user_id, device_class, started_at, ended_at, duration_s, events, end_reason
FROM sessions
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
ORDER BY duration_s DESC, started_at, session_id
LIMIT 20
