SELECT n.title, n.zone, toInt64(n.gap_ms), n.recording, u.user_id, u.name, u.zone, u.partition
FROM (SELECT 1 AS k, title, zone, gap_ms, recording FROM networks WHERE network_id = {network:String}) AS n
LEFT JOIN (
  SELECT 1 AS k, user_id, name, zone, partition FROM users WHERE network_id = {network:String} AND user_id = {user:String}
) AS u USING (k)
LIMIT 1
-- network = n
-- user = u
