-- How far is each network complete, and how much waits?
-- Answer: network_id, partitions, owned (by a worker now), complete_to (least watermark), waiting (records of any network in its partitions).

SELECT p.network_id AS network_id, count() AS partitions, countIf(w.owned) AS owned, min(p.watermark) AS complete_to, sum(greatest(w.log_end - w.next_offset, 0)) AS waiting
FROM progress AS p
LEFT JOIN partitions AS w ON w.topic = p.topic AND w.epoch = p.epoch AND w.partition = p.partition
GROUP BY p.network_id
ORDER BY p.network_id
