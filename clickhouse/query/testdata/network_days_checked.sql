SELECT toInt32(date) AS day, users, sessions, toInt64(duration_s), toInt64(active_s), toInt64(overlap_s), toInt64(mobile_s), toInt64(web_s), toUInt64(0) AS fingerprint, true AS computed
FROM daily_networks
WHERE network_id = {network:String} AND date IN (SELECT toDate(arrayJoin({days:Array(Int32)})))
UNION ALL
SELECT toInt32(date), 0, 0, 0, 0, 0, 0, 0, fingerprint, false FROM session_day_fingerprints
WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
LIMIT {limit:Int64}
SETTINGS enable_shared_storage_snapshot_in_query = 1
-- network = n
-- from = 20574
-- to = 20587
-- limit = 1000000000
-- days = [20574 20587]
