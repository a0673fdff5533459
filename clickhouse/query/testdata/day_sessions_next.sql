SELECT toInt32(d.date) AS day, toString(d.session_id) AS id, d.device_id, d.device_class, d.started_at, d.ended_at,
  toInt64(d.duration_s), d.runs.1, d.runs.2, d.continues_from, d.continues_to, d.zone,
  s.started_at, s.ended_at, toInt64(s.duration_s), s.end_reason, s.events, d.robot,
  s.topic, s.epoch, s.partition, s.ended_ms + s.gap_ms AS over
FROM (
  SELECT date, session_id, device_id, device_class, started_at, ended_at, duration_s, runs, continues_from, continues_to, zone, robot
  FROM session_days_versions FINAL
  WHERE network_id = {network:String} AND user_id = {user:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
) AS d
INNER JOIN (
  SELECT session_id, started_at, ended_at, duration_s, end_reason, events, topic, epoch, partition, ended_ms, gap_ms
  FROM sessions_versions FINAL
  WHERE network_id = {network:String} AND user_id = {user:String}
    AND started_at BETWEEN toDateTime({first:Int64}, 'UTC') AND toDateTime({last:Int64}, 'UTC')
) AS s ON s.session_id = d.session_id
WHERE (d.date, d.started_at, d.session_id) > (toDate({after_date:Int32}), toDateTime({after:Int64}, 'UTC'), toUUID({after_id:String}))
ORDER BY d.date, d.started_at, d.session_id
LIMIT {limit:Int64}
-- network = n
-- user = u
-- from = 20574
-- to = 20574
-- first = 1777420800
-- last = 1777766400
-- limit = 100
-- after_date = 20574
-- after = 1777795200
-- after_id = 11111111-2222-3333-4444-555555555555
