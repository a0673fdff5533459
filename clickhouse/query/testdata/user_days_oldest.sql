SELECT toInt32(date) AS day, countIf(NOT s.continues_from), toInt64(sum(s.duration_s)) AS total,
  toInt64(intervalLengthSumArray(s.runs.1, s.runs.2)) AS active, total - active,
  toInt64(sumIf(s.duration_s, s.device_class = 'mobile')), toInt64(sumIf(s.duration_s, s.device_class = 'web'))
FROM session_days_versions AS s FINAL
WHERE network_id = {network:String} AND user_id = {user:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32}) AND date > toDate({after:Int32})
GROUP BY date
ORDER BY date ASC
LIMIT {limit:Int64}
-- network = n
-- user = u
-- from = 20574
-- to = 20587
-- limit = 14
-- after = 20574
