-- Facts about users are the accepted events that say them, one row each, and a
-- later fact of a user keeps what an earlier one said unless it says otherwise.
WITH e AS (
    SELECT network_id, user_id, topic, epoch, partition, offset, true AS known FROM events WHERE {{.Users}} AND kind = 'user_fact'
),
f AS (
    SELECT
        network_id, user_id, topic, epoch, partition, offset, true AS known,
        lagInFrame(toString(zone)) OVER w != '' AND zone = '' OR lagInFrame(name) OVER w != '' AND name = '' AS forgot
    FROM user_facts WHERE {{.Users}}
    WINDOW w AS (PARTITION BY network_id, user_id ORDER BY epoch, offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
SELECT
    concat(if(e.known, e.network_id, f.network_id), '/', if(e.known, e.user_id, f.user_id), ' at offset ', toString(if(e.known, e.offset, f.offset)),
        ' of partition ', toString(if(e.known, e.partition, f.partition)), ' epoch ', toString(if(e.known, e.epoch, f.epoch))) AS identity,
    multiIf(NOT f.known, 'the event is there, its fact is not', NOT e.known, 'the fact is there, no accepted event says it',
        f.forgot, 'it lacks what an earlier fact said', '') AS wrong,
    if(e.known, e.offset >= {{.StoredOf "e"}}, f.offset >= {{.StoredOf "f"}}) AS flying
FROM e FULL OUTER JOIN f ON e.network_id = f.network_id AND e.user_id = f.user_id AND e.topic = f.topic AND e.epoch = f.epoch
    AND e.partition = f.partition AND e.offset = f.offset
