SELECT title, zone, toInt64(gap_ms), dark.1, dark.2, position, written_at
FROM settings_history_versions WHERE network_id = {network:String}
LIMIT {limit:Int64}
-- network = n
-- limit = 1000000000
