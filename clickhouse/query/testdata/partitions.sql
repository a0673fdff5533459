SELECT topic, epoch, partition, owned, caught_up_at, out_of_orderness_ms, greatest(log_end - next_offset, 0) AS waiting
FROM partitions
ORDER BY topic, epoch, partition
LIMIT {limit:Int64}
-- limit = 1000000000
