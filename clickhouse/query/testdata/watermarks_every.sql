SELECT topic, epoch, partition, min(watermark) AS at FROM progress
GROUP BY topic, epoch, partition
ORDER BY topic, epoch, partition
LIMIT {limit:Int64}
-- limit = 1000000000
