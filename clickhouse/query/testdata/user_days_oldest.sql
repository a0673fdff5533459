SELECT toInt32(date) AS day, sessions, toInt64(duration_s), toInt64(active_s), toInt64(overlap_s), toInt64(mobile_s), toInt64(web_s)
FROM daily_users
WHERE network_id = {network:String} AND user_id = {user:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32}) AND date > toDate({after:Int32})
ORDER BY date ASC
LIMIT {limit:Int64}
-- network = n
-- user = u
-- from = 20574
-- to = 20587
-- limit = 14
-- after = 20574
