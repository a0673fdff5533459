-- Sessions of one key never overlap and span at most 24 h (P3), and a row's own
-- cells agree: whole seconds are the truncated milliseconds.
SELECT
    concat(network_id, '/', user_id, '/', device_id, ' from ', toString(fromUnixTimestamp64Milli(started_ms, 'UTC'))) AS identity,
    arrayStringConcat(arrayFilter(w -> w != '', [
        if(n > 1 AND started_ms <= reached, concat('overlaps the session before, which ends at ', toString(fromUnixTimestamp64Milli(reached, 'UTC'))), ''),
        if(ended_ms - started_ms > 86400000, concat('spans ', toString(ended_ms - started_ms), ' ms, more than 24 h'), ''),
        if(ended_ms < started_ms, 'ends before it starts', ''),
        if(events = 0, 'has no event', ''),
        if(toUnixTimestamp(started_at) != intDiv(started_ms, 1000) OR toUnixTimestamp(ended_at) != intDiv(ended_ms, 1000), 'started_at or ended_at is not the truncated millisecond', ''),
        if(duration_s != toUnixTimestamp(ended_at) - toUnixTimestamp(started_at), concat('duration_s ', toString(duration_s), ', by its ends ',
            toString(toUnixTimestamp(ended_at) - toUnixTimestamp(started_at))), '')
    ]), '; ') AS wrong,
    (network_id, user_id) IN ({{.Flying}}) AS flying
FROM (
    SELECT *, row_number() OVER w AS n, max(ended_ms) OVER (PARTITION BY network_id, user_id, device_id ORDER BY started_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM sessions_versions FINAL WHERE {{.Users}}
    WINDOW w AS (PARTITION BY network_id, user_id, device_id ORDER BY started_ms)
)
