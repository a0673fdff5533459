SELECT user_id, device_id, device_class, toString(session_id) AS id, toInt32(date) AS day,
  started_at, ended_at, toInt64(duration_s), end_reason, events, zone, robot,
  topic, epoch, partition, ended_ms + gap_ms AS over
FROM sessions_versions FINAL
WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
  AND started_at BETWEEN toDateTime({first:Int64}, 'UTC') AND toDateTime({last:Int64}, 'UTC') AND user_id = {user:String} AND device_class = {class:String}
  AND (started_at, session_id) > (toDateTime({after:Int64}, 'UTC'), toUUID({after_id:String}))
ORDER BY started_at, session_id
LIMIT {limit:Int64}
-- network = n
-- from = 20574
-- to = 20587
-- first = 1777507200
-- last = 1778889600
-- limit = 100
-- user = u
-- class = web
-- after = 1777795200
-- after_id = 11111111-2222-3333-4444-555555555555
