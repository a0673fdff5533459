SELECT network_id, title, zone, toInt64(gap_ms), recording, position, changed_at FROM networks
WHERE network_id > {after:String}
ORDER BY network_id
LIMIT {limit:Int64}
-- after = 
-- limit = 100
