SELECT toInt32(date) AS day, users, sessions, toInt64(duration_s), toInt64(active_s), toInt64(overlap_s), toInt64(mobile_s), toInt64(web_s), fingerprint, true AS holds
FROM daily_networks_stored FINAL
WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
LIMIT {limit:Int64}
-- network = n
-- from = 20574
-- to = 20587
-- limit = 1000000000
