SELECT session_id, user_id, device_id, CAST(concat(device_class, '\0', end_reason, '\0', zone, '\0', topic), 'String') AS words,
  date, started_at, ended_at, duration_s, events, robot, epoch, partition, ended_ms + gap_ms AS over
FROM sessions_versions FINAL
WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32})
  AND started_at BETWEEN toDateTime({first:Int64}, 'UTC') AND toDateTime({last:Int64}, 'UTC') AND user_id = {user:String}
ORDER BY started_at, session_id
LIMIT {limit:Int64}
SETTINGS query_plan_execute_functions_after_sorting = 0, max_block_size = 16384
-- network = n
-- from = 20574
-- to = 20587
-- first = 1777507200
-- last = 1778889600
-- limit = 1000000000
-- user = u
