SELECT toInt32(date) AS day, fingerprint FROM session_day_fingerprints
WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
LIMIT {limit:Int64}
-- network = n
-- from = 20574
-- to = 20587
-- limit = 1000000000
