-- Every slice is of a session that is there (P4): a tombstone that a session got
-- and its slice did not leaves one.
SELECT
    concat(d.network_id, '/', d.user_id, ' ', toString(d.date), ' session ', toString(d.session_id)) AS identity,
    if(s.known, '', concat('ghost: the session from ', toString(fromUnixTimestamp64Milli(d.session_started_ms, 'UTC')), ' is not there')) AS wrong,
    (d.network_id, d.user_id) IN ({{.Flying}}) AS flying
FROM (SELECT network_id, user_id, date, session_id, session_started_ms FROM session_days_versions FINAL WHERE {{.Users}}) AS d
LEFT JOIN (SELECT network_id, user_id, session_id, true AS known FROM sessions_versions FINAL WHERE {{.Users}}) AS s
    ON d.network_id = s.network_id AND d.user_id = s.user_id AND d.session_id = s.session_id
