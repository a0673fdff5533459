-- Presence sessions are a function of the set of a key's accepted events (P3):
-- this derives them anew, naively, and compares every cell. Events of one
-- millisecond are one instant, ordered by id, then by the log. A chain ends
-- behind a mark, where the gap that the next event is stamped with is exceeded,
-- or where the recording period changes; a chain longer than 24 h is cut at each
-- UTC midnight. A session's row must also be at least as new as its newest event.
WITH
presence AS (
    SELECT
        network_id, user_id, device_id, toUnixTimestamp64Milli(time) AS t, kind, toString(device_class) AS class, robot, class_unknown, toString(zone) AS zone,
        gap_ms, recording_period AS period, event_id, bitShiftLeft(toUInt64(epoch), 48) + toUInt64(offset) AS pos
    FROM events WHERE {{.Users}} AND kind IN ('signal', 'logged_out', 'backgrounded')
),
instants AS (
    SELECT
        network_id, user_id, device_id, t, count() AS n, max(kind = 'logged_out') AS leaves, max(kind = 'backgrounded') AS hides, max(kind = 'signal') AS signals,
        argMin((class, robot, class_unknown, gap_ms, period), (event_id, pos)) AS head, argMax((gap_ms, period), (event_id, pos)) AS tail,
        argMin(zone, pos) AS zone, min(pos) AS oldest, max(pos) AS newest
    FROM presence GROUP BY network_id, user_id, device_id, t
),
marked AS (
    SELECT
        *,
        multiIf(leaves, 'logged_out',
            hides AND max(signals) OVER (PARTITION BY network_id, user_id, device_id ORDER BY t RANGE BETWEEN 1 FOLLOWING AND 60000 FOLLOWING) = 0, 'backgrounded', '') AS mark
    FROM instants
),
broken AS (
    SELECT
        *,
        multiIf(row_number() OVER w = 1, 'first', lagInFrame(mark) OVER w != '', lagInFrame(mark) OVER w,
            t - lagInFrame(t) OVER w > head.4, 'inactivity', lagInFrame(tail.2) OVER w != head.5, 'recording_disabled', '') AS why
    FROM marked
    WINDOW w AS (PARTITION BY network_id, user_id, device_id ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
chained AS (
    SELECT
        *,
        sum(why != '') OVER (PARTITION BY network_id, user_id, device_id ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS chain,
        leadInFrame(why, 1, if(mark = '', 'inactivity', mark)) OVER (PARTITION BY network_id, user_id, device_id ORDER BY t ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS ends
    FROM broken
),
spanned AS (
    SELECT *, max(t) OVER (PARTITION BY network_id, user_id, device_id, chain) - min(t) OVER (PARTITION BY network_id, user_id, device_id, chain) > 86400000 AS long
    FROM chained
),
derived AS (
    SELECT
        network_id, user_id, device_id, min(t) AS started_ms, max(t) AS ended_ms, sum(n) AS events, argMin(head, t) AS head, argMin(zone, oldest) AS zone,
        argMax(tail.1, t) AS gap_ms, argMax(if(ends = '', 'cap', ends), t) AS end_reason, max(newest) AS newest, true AS known
    FROM spanned GROUP BY network_id, user_id, device_id, chain, if(long, intDiv(t, 86400000), 0)
),
stored AS (
    SELECT
        network_id, user_id, device_id, started_ms, ended_ms, events, toString(device_class) AS class, robot, class_unknown, toString(zone) AS zone, gap_ms,
        toString(end_reason) AS end_reason, version, true AS known
    FROM sessions_versions FINAL WHERE {{.Users}}
)
SELECT
    concat(if(d.known, d.network_id, s.network_id), '/', if(d.known, d.user_id, s.user_id), '/', if(d.known, d.device_id, s.device_id),
        ' from ', toString(fromUnixTimestamp64Milli(if(d.known, d.started_ms, s.started_ms), 'UTC'))) AS identity,
    multiIf(
        NOT s.known, concat('missing: ', toString(d.events), ' events until ', toString(fromUnixTimestamp64Milli(d.ended_ms, 'UTC')), ' make a session'),
        NOT d.known, 'ghost: no events make this session',
        arrayStringConcat(arrayFilter(w -> w != '', [
            if(s.ended_ms != d.ended_ms, concat('ended_ms ', toString(s.ended_ms), ', last event ', toString(d.ended_ms)), ''),
            if(s.events != d.events, concat('events ', toString(s.events), ', counted ', toString(d.events)), ''),
            if(s.end_reason != d.end_reason, concat('end_reason ', s.end_reason, ', by the events ', d.end_reason), ''),
            if(s.class != d.head.1, concat('device_class ', s.class, ', earliest event ', d.head.1), ''),
            if(s.robot != d.head.2 OR s.class_unknown != d.head.3, 'robot or class_unknown is not that of the earliest event', ''),
            if(s.zone != d.zone, concat('zone ', s.zone, ', first seen in ', d.zone), ''),
            if(s.gap_ms != d.gap_ms, concat('gap_ms ', toString(s.gap_ms), ', last event ', toString(d.gap_ms)), ''),
            if(s.version <= d.newest, concat('version ', toString(s.version), ' is not above its newest event ', toString(d.newest)), '')
        ]), '; ')) AS wrong,
    (if(d.known, d.network_id, s.network_id), if(d.known, d.user_id, s.user_id)) IN ({{.Flying}}) AS flying
FROM derived AS d FULL OUTER JOIN stored AS s
    ON d.network_id = s.network_id AND d.user_id = s.user_id AND d.device_id = s.device_id AND d.started_ms = s.started_ms
