-- An event id counts once (P2): no identity at two places of the log, no two
-- accepted events of one id within an hour; a row's version is its position.
SELECT
    concat(network_id, '/', user_id, ' source ', source, ' id ', event_id, ' at ', toString(time)) AS identity,
    arrayStringConcat(arrayFilter(w -> w != '', [
        if(length(places) > 1, concat('accepted at several offsets: ', toString(places)), ''),
        if(n > 1 AND t - before <= 3600000, concat('accepted twice within an hour: also ', toString(t - before), ' ms earlier, at ', toString(there)), ''),
        if(misplaced > 0, 'its version is not that of its offset', ''),
        if(late, 'its time is more than 5 min after it was received', '')
    ]), '; ') AS wrong,
    false AS flying
FROM (
    SELECT
        *,
        lagInFrame(t) OVER w AS before, lagInFrame(places) OVER w AS there, row_number() OVER w AS n
    FROM (
        SELECT
            network_id, user_id, source, event_id, time, toUnixTimestamp64Milli(time) AS t,
            arraySort(groupUniqArray((epoch, partition, offset))) AS places,
            countIf(version != bitNot(bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset))) AS misplaced,
            max(time > received_at + INTERVAL 5 MINUTE) AS late
        FROM events_versions WHERE {{.Users}}
        GROUP BY network_id, user_id, source, event_id, time
    )
    WINDOW w AS (PARTITION BY network_id, user_id, source, event_id ORDER BY t ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
