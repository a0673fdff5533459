SELECT topic, epoch, partition, NOT released AND updated_at > now64(3, 'UTC') - INTERVAL 15 SECOND AS owned,
  caught_up_at, out_of_orderness_ms, greatest(log_end - next_offset, 0) AS waiting
FROM partitions_versions FINAL
ORDER BY topic, epoch, partition
LIMIT {limit:Int64}
-- limit = 1000000000
