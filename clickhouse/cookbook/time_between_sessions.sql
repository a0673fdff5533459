-- How long do users stay away between two sessions?
-- Answer: pauses, median_min, p90_min, p99_min (minutes from an end to the next beginning on any device).

SELECT count() AS pauses, round(quantileExact(0.5)(pause_s) / 60) AS median_min, round(quantileExact(0.9)(pause_s) / 60) AS p90_min,
    round(quantileExact(0.99)(pause_s) / 60) AS p99_min
FROM (
    SELECT row_number() OVER w AS n, toInt64(started_at) - toInt64(max(ended_at) OVER before) AS pause_s
    FROM sessions
    WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
    WINDOW w AS (PARTITION BY user_id ORDER BY started_at, session_id), before AS (PARTITION BY user_id ORDER BY started_at, session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE n > 1 AND pause_s >= 0
