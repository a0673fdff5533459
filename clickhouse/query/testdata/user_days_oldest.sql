SELECT toInt32(date) AS day, toString(session_id), version, is_deleted, continues_from, toInt64(duration_s), device_class,
  CAST(runs.1, 'Array(UInt32)'), CAST(runs.2, 'Array(UInt32)')
FROM session_days_versions
WHERE network_id = {network:String} AND user_id = {user:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32}) AND date > toDate({after:Int32})
LIMIT {limit:Int64}
-- network = n
-- user = u
-- from = 20574
-- to = 20587
-- limit = 1000000000
-- after = 20574
