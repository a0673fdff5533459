-- All sessions of local days, one row a session and day, for a file: add FORMAT CSVWithNames.
-- Answer: date, user_id, name, device_class, started_at, ended_at (UTC, within the date), duration_s, zone, continues_from, continues_to.

SELECT d.date AS date, d.user_id AS user_id, u.name AS name, d.device_class AS device_class, d.started_at AS started_at, d.ended_at AS ended_at,
    d.duration_s AS duration_s, d.zone AS zone, d.continues_from AS continues_from, d.continues_to AS continues_to
FROM (SELECT * FROM session_days WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}) AS d
LEFT JOIN (SELECT user_id, name FROM users WHERE network_id = {network:String}) AS u ON u.user_id = d.user_id
ORDER BY d.date, d.user_id, d.started_at, d.session_id
