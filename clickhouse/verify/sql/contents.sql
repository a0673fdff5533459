-- A version of an identity has one content, whoever wrote it (ARCHITECTURE.md
-- 4.2). Only what the engine has not merged yet can be told.
SELECT
    concat(table, ' ', network_id, '/', user_id, ' ', what, ' version ', toString(version)) AS identity,
    if(contents > 1, concat('one version has ', toString(contents), ' contents'), '') AS wrong,
    false AS flying
FROM (
    SELECT 'sessions' AS table, network_id, user_id, toString(session_id) AS what, version, uniqExact(cityHash64(device_id, device_class, date, started_ms, ended_ms,
        duration_s, end_reason, events, zone, gap_ms, robot, class_unknown, is_deleted)) AS contents
    FROM sessions_versions WHERE {{.Users}} GROUP BY network_id, user_id, started_at, session_id, version
    UNION ALL
    SELECT 'session_days' AS table, network_id, user_id, concat(toString(session_id), ' ', toString(date)) AS what, version, uniqExact(cityHash64(device_id, device_class,
        started_at, ended_at, duration_s, runs, zone, session_started_ms, continues_from, continues_to, robot, class_unknown, is_deleted)) AS contents
    FROM session_days_versions WHERE {{.Users}} GROUP BY network_id, user_id, date, session_id, version
    UNION ALL
    SELECT 'users' AS table, network_id, user_id, '' AS what, version, uniqExact(cityHash64(name, zone)) AS contents
    FROM users_versions WHERE {{.Users}} GROUP BY network_id, user_id, version
    UNION ALL
    SELECT 'events' AS table, network_id, user_id, event_id AS what, version, uniqExact(cityHash64(type, kind, category, action, label, device_id, device_class, content_id,
        content_name, content_slug, context_zone, context_ua, context_url, props, zone, gap_ms, recording_period, robot, class_unknown, time_clamped, content_hash,
        received_at)) AS contents
    FROM events_versions WHERE {{.Users}} GROUP BY network_id, user_id, time, source, event_id, version
)
