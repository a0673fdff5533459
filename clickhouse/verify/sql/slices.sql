-- The slices of a session tile it: runs without a hole or an overlap from its
-- start to its end, each run wholly on its slice's local date, cells as the
-- session says (P4). Offsets of zones come from the checker's own database: a
-- run's date is looked at where it begins, where it ends, and beside every change
-- of the offset in between. A session of no length has a slice without a run.
WITH
zones AS (
    SELECT z.1 AS zone, z.2 AS froms, z.3 AS offsets
    FROM (SELECT arrayJoin(arrayZip({zone_names:Array(String)}, {zone_froms:Array(Array(Int64))}, {zone_offsets:Array(Array(Int64))})) AS z)
),
s AS (
    SELECT network_id, user_id, session_id, device_id, toString(device_class) AS class, robot, class_unknown, toString(zone) AS zone, started_ms,
        toInt64(toInt32(date)) AS date, toInt64(toUnixTimestamp(started_at)) AS first, toInt64(toUnixTimestamp(ended_at)) AS last
    FROM sessions_versions FINAL WHERE {{.Users}} AND zone IN {zone_names:Array(String)}
),
d AS (
    SELECT network_id, user_id, session_id, arraySort(x -> x.2[1].1, groupArray((toInt64(toInt32(date)),
        arrayMap(r -> (toInt64(toUnixTimestamp(r.1)), toInt64(toUnixTimestamp(r.2))), if(empty(runs), [(started_at, ended_at)], runs)), toInt64(duration_s),
        toInt64(toUnixTimestamp(started_at)), toInt64(toUnixTimestamp(ended_at)), continues_from, continues_to,
        (device_id, toString(device_class), robot, class_unknown, toString(zone), session_started_ms)))) AS days
    FROM session_days_versions FINAL WHERE {{.Users}} GROUP BY network_id, user_id, session_id
),
tiled AS (
    SELECT
        w.network_id AS network_id, w.user_id AS user_id, w.device_id AS device_id, w.class AS class, w.robot AS robot, w.class_unknown AS class_unknown,
        w.zone AS zone, w.started_ms AS started_ms, w.date AS date, w.first AS first, w.last AS last, w.days AS days, z.froms AS froms, z.offsets AS offsets,
        arraySort(r -> (r.1, r.2), arrayFlatten(arrayMap(x -> x.2, w.days))) AS runs, arraySum(arrayMap(x -> x.3, w.days)) AS total
    FROM (
        SELECT s.*, d.days AS days FROM s LEFT JOIN d ON s.network_id = d.network_id AND s.user_id = d.user_id AND s.session_id = d.session_id
    ) AS w INNER JOIN zones AS z ON z.zone = w.zone
)
SELECT
    concat(network_id, '/', user_id, '/', device_id, ' from ', toString(fromUnixTimestamp64Milli(started_ms, 'UTC'))) AS identity,
    if(length(days) = 0, 'it has no slice', arrayStringConcat(arrayFilter(w -> w != '', [
        if(total != last - first, concat('slices add up to ', toString(total), ' s, the session to ', toString(last - first)), ''),
        if(runs[1].1 != first OR runs[-1].2 != last, 'runs do not begin and end with the session', ''),
        if(arrayExists((a, b) -> a.2 != b.1, arrayPopBack(runs), arrayPopFront(runs)), 'runs have a hole or overlap', ''),
        if(arrayExists(x -> x.3 != arraySum(arrayMap(r -> r.2 - r.1, x.2)), days), 'duration_s of a slice is not that of its runs', ''),
        if(arrayExists(x -> arrayExists((a, b) -> a.2 = b.1, arrayPopBack(x.2), arrayPopFront(x.2)), days), 'a run of one date is in two parts', ''),
        if(arrayExists(x -> x.4 != x.2[1].1 OR x.5 != x.2[-1].2, days), 'started_at or ended_at of a slice is not that of its runs', ''),
        if(arrayExists(x -> arrayExists(r -> arrayExists(
                p -> intDiv(p + offsets[arrayLastIndex(f -> f <= p, froms)], 86400) != x.1,
                arrayConcat([r.1, greatest(r.1, r.2 - 1)], arrayFlatten(arrayMap(f -> [f - 1, f], arrayFilter(f -> f > r.1 AND f < r.2, froms))))), x.2), days),
            concat('a run is not on its slice''s date: ', toString(arrayMap(x -> (toDate(toUInt16(x.1)), x.2), days))), ''),
        if(intDiv(first + offsets[arrayLastIndex(f -> f <= first, froms)], 86400) != date, 'date of the session is not that of its start', ''),
        if(arrayExists((x, i) -> x.6 != (i > 1) OR x.7 != (i < length(days)), days, arrayEnumerate(days)), 'continues_from or continues_to is wrong', ''),
        if(arrayExists(x -> x.8 != (device_id, class, robot, class_unknown, zone, started_ms), days), 'a slice''s cells are not those of its session', '')
    ]), '; ')) AS wrong,
    (network_id, user_id) IN ({{.Flying}}) AS flying
FROM tiled
