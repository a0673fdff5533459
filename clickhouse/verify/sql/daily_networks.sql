-- daily_networks equals the sums over daily_users (P4). A date of which a slice
-- is newer than what was published when the check began is in flight.
WITH
want AS (
    SELECT network_id, date, count() AS users, sum(d.sessions) AS sessions, sum(d.duration_s) AS duration_s, sum(d.active_s) AS active_s,
        sum(d.overlap_s) AS overlap_s, sum(d.mobile_s) AS mobile_s, sum(d.web_s) AS web_s, true AS known
    FROM daily_users AS d GROUP BY network_id, date
),
got AS (
    SELECT network_id, date, users, sessions, duration_s, active_s, overlap_s, mobile_s, web_s, true AS known FROM daily_networks
)
SELECT
    concat(if(w.known, w.network_id, g.network_id), ' ', toString(if(w.known, w.date, g.date))) AS identity,
    multiIf(NOT g.known, 'the day is missing', NOT w.known, 'no user has the day',
        (g.users, g.sessions, g.duration_s, g.active_s, g.overlap_s, g.mobile_s, g.web_s) = (w.users, w.sessions, w.duration_s, w.active_s, w.overlap_s, w.mobile_s, w.web_s), '',
        concat('users, sessions, duration_s, active_s, overlap_s, mobile_s, web_s ', toString((g.users, g.sessions, g.duration_s, g.active_s, g.overlap_s, g.mobile_s, g.web_s)),
            ', counted ', toString((w.users, w.sessions, w.duration_s, w.active_s, w.overlap_s, w.mobile_s, w.web_s)))) AS wrong,
    (if(w.known, w.network_id, g.network_id), if(w.known, w.date, g.date)) IN (
        SELECT network_id, date FROM session_days_versions WHERE bitAnd(version, 281474976710655) > {{.Published}}) AS flying
FROM want AS w FULL OUTER JOIN got AS g ON w.network_id = g.network_id AND w.date = g.date
