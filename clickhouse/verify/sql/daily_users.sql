-- daily_users equals its recomputation from the stored versions of the slices
-- (P4): the newest version of each by hand instead of FINAL, the union by a sweep
-- instead of the engine's own function.
WITH
slices AS (
    SELECT network_id, user_id, date, session_id,
        argMax((is_deleted, toString(device_class), toInt64(duration_s), runs, continues_from), version) AS x
    FROM session_days_versions WHERE {{.Users}} GROUP BY network_id, user_id, date, session_id
    HAVING x.1 = 0
),
runs AS (
    SELECT network_id, user_id, date, toInt64(toUnixTimestamp(run.1)) AS a, toInt64(toUnixTimestamp(run.2)) AS b,
        max(b) OVER (PARTITION BY network_id, user_id, date ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM (SELECT network_id, user_id, date, arrayJoin(x.4) AS run FROM slices)
),
unions AS (
    SELECT network_id, user_id, date, sum(greatest(0, b - greatest(a, reached))) AS active_s FROM runs GROUP BY network_id, user_id, date
),
sums AS (
    SELECT network_id, user_id, date, countIf(NOT x.5) AS sessions, sum(x.3) AS duration_s, sumIf(x.3, x.2 = 'mobile') AS mobile_s, sumIf(x.3, x.2 = 'web') AS web_s
    FROM slices GROUP BY network_id, user_id, date
),
want AS (
    SELECT s.*, u.active_s AS active_s, true AS known FROM sums AS s LEFT JOIN unions AS u ON s.network_id = u.network_id AND s.user_id = u.user_id AND s.date = u.date
),
got AS (
    SELECT network_id, user_id, date, sessions, duration_s, active_s, overlap_s, mobile_s, web_s, true AS known FROM daily_users WHERE {{.Users}}
)
SELECT
    concat(if(w.known, w.network_id, g.network_id), '/', if(w.known, w.user_id, g.user_id), ' ', toString(if(w.known, w.date, g.date))) AS identity,
    multiIf(NOT g.known, 'the day is missing', NOT w.known, 'the day has no slices', arrayStringConcat(arrayFilter(x -> x != '', [
        if(g.sessions != w.sessions, concat('sessions ', toString(g.sessions), ', counted ', toString(w.sessions)), ''),
        if(g.duration_s != w.duration_s, concat('duration_s ', toString(g.duration_s), ', counted ', toString(w.duration_s)), ''),
        if(g.active_s != w.active_s, concat('active_s ', toString(g.active_s), ', counted ', toString(w.active_s)), ''),
        if(g.overlap_s != w.duration_s - w.active_s, concat('overlap_s ', toString(g.overlap_s), ', counted ', toString(w.duration_s - w.active_s)), ''),
        if(g.mobile_s != w.mobile_s OR g.web_s != w.web_s, 'mobile_s or web_s is wrong', '')
    ]), '; ')) AS wrong,
    (if(w.known, w.network_id, g.network_id), if(w.known, w.user_id, g.user_id)) IN ({{.Flying}}) AS flying
FROM want AS w FULL OUTER JOIN got AS g ON w.network_id = g.network_id AND w.user_id = g.user_id AND w.date = g.date
