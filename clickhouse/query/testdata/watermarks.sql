SELECT topic, epoch, partition, watermark FROM progress_versions FINAL WHERE network_id = {network:String}
ORDER BY topic, epoch, partition
LIMIT {limit:Int64}
-- network = n
-- limit = 1000000000
