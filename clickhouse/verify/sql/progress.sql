-- A watermark is the greatest accepted event time below its offset, less the
-- out-of-orderness that the worker reported. A later epoch may go on from the
-- times of the ones before it. What was written since the check began is in flight.
WITH
times AS (
    SELECT e.network_id AS network_id, e.topic AS topic, e.epoch AS epoch, e.partition AS partition, max(toUnixTimestamp64Milli(e.time)) AS greatest, true AS known
    FROM events AS e LEFT JOIN progress AS p ON e.network_id = p.network_id AND e.topic = p.topic AND e.epoch = p.epoch AND e.partition = p.partition
    WHERE e.offset < {{.StoredOf "e"}} AND (p.topic = '' OR e.offset < p.next_offset)
    GROUP BY e.network_id, e.topic, e.epoch, e.partition
),
earlier AS (
    SELECT t.network_id AS network_id, t.epoch AS epoch, max(o.greatest) AS greatest
    FROM (SELECT DISTINCT network_id, epoch FROM times) AS t INNER JOIN times AS o ON t.network_id = o.network_id
    WHERE o.epoch < t.epoch GROUP BY t.network_id, t.epoch
),
marks AS (
    SELECT network_id, topic, epoch, partition, toUnixTimestamp64Milli(watermark) AS watermark, next_offset, true AS known FROM progress
),
both AS (
    SELECT
        if(m.known, m.network_id, t.network_id) AS network_id, if(m.known, m.topic, t.topic) AS topic, if(m.known, m.epoch, t.epoch) AS epoch,
        if(m.known, m.partition, t.partition) AS partition, m.known AS marked, t.known AS seen, m.watermark AS watermark, m.next_offset AS next_offset, t.greatest AS greatest
    FROM marks AS m FULL OUTER JOIN times AS t ON m.network_id = t.network_id AND m.topic = t.topic AND m.epoch = t.epoch AND m.partition = t.partition
)
SELECT
    concat(b.network_id, ' on ', b.topic, ' epoch ', toString(b.epoch), ' partition ', toString(b.partition)) AS identity,
    multiIf(
        NOT b.marked, 'events are there, no watermark',
        {{.OutOfOrderOf "b"}} >= 0 AND b.watermark + {{.OutOfOrderOf "b"}} IN (if(b.seen, b.greatest, toInt64(-1)), if(e.greatest > 0, greatest(e.greatest, b.greatest), toInt64(-1))), '',
        {{.OutOfOrderOf "b"}} < 0 AND b.watermark <= greatest(b.greatest, e.greatest), '',
        concat('watermark ', toString(fromUnixTimestamp64Milli(b.watermark, 'UTC')), ', greatest event time below offset ', toString(b.next_offset), ' ',
            toString(fromUnixTimestamp64Milli(b.greatest, 'UTC')), ', out_of_orderness ', toString({{.OutOfOrderOf "b"}}), ' ms (or that was changed and no event came since)')) AS wrong,
    b.marked AND b.next_offset > {{.StoredOf "b"}} AS flying
FROM both AS b LEFT JOIN earlier AS e ON e.network_id = b.network_id AND e.epoch = b.epoch
