SELECT n.title, n.shown, toInt64(n.gap_ms), n.recording, u.user_id, u.name, u.zone, u.partition
FROM (
  SELECT 1 AS k, title, if(zone = '', 'UTC', zone) AS shown, gap_ms,
    NOT arrayExists(d -> d.1 <= toUnixTimestamp64Milli(now64(3)) AND toUnixTimestamp64Milli(now64(3)) < d.2, dark) AS recording
  FROM settings_history_versions WHERE network_id = {network:String}
  ORDER BY position DESC LIMIT 1
) AS n
LEFT JOIN (
  SELECT 1 AS k, user_id, name, zone, partition FROM users_versions FINAL WHERE network_id = {network:String} AND user_id = {user:String}
) AS u USING (k)
LIMIT 1
-- network = n
-- user = u
