WITH concerned AS (
  SELECT partition, owned, caught_up_at IS NOT NULL AS read, greatest(log_end - next_offset, 0) AS records,
    if(caught_up_at IS NULL, watermark, caught_up_at - toIntervalMillisecond(out_of_orderness_ms)) AS through
  FROM partitions LEFT JOIN (
    SELECT topic, epoch, partition, min(watermark) AS watermark FROM progress GROUP BY topic, epoch, partition
  ) AS w USING (topic, epoch, partition)
  WHERE epoch = (SELECT max(epoch) FROM partitions)
)
SELECT if(countIf(NOT owned OR through IS NULL) > 0 OR count() = 0, NULL, min(through)),
  toInt64(count()), toInt64(countIf(owned)), toInt64(countIf(owned AND NOT read)), toInt64(sum(records))
FROM concerned
SETTINGS join_use_nulls = 1
