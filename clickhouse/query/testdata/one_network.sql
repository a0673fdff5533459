SELECT any(title), if(any(h.zone) = '', 'UTC', any(h.zone)), toInt64(any(gap_ms)),
  NOT arrayExists(d -> d.1 <= toUnixTimestamp64Milli(now64(3)) AND toUnixTimestamp64Milli(now64(3)) < d.2, any(dark)),
  position, min(written_at)
FROM settings_history_versions AS h WHERE network_id = {network:String}
GROUP BY position ORDER BY position DESC
LIMIT 1
-- network = n
