-- A stored day whose fingerprint is that of now has the values that daily_networks
-- gives now (P4): the API takes it instead. One snapshot of the slices serves the
-- fingerprints and the values, so nothing is in flight; a day with another
-- fingerprint is not taken, whatever it says.
WITH
held AS (
    SELECT s.network_id AS network_id, s.date AS date, (s.users, s.sessions, s.duration_s, s.active_s, s.overlap_s, s.mobile_s, s.web_s) AS cells
    FROM (SELECT * FROM daily_networks_stored FINAL) AS s
    INNER JOIN session_day_fingerprints AS f ON f.network_id = s.network_id AND f.date = s.date AND f.fingerprint = s.fingerprint
),
computed AS (
    SELECT network_id, date, (users, sessions, duration_s, active_s, overlap_s, mobile_s, web_s) AS cells FROM daily_networks
)
SELECT
    concat(h.network_id, ' ', toString(h.date)) AS identity,
    -- A day of tombstones alone has no row: LEFT JOIN fills with zeros.
    if(h.cells = n.cells, '', concat('users, sessions, duration_s, active_s, overlap_s, mobile_s, web_s ', toString(h.cells),
        ' are stored and taken, computed ', toString(n.cells))) AS wrong,
    false AS flying
FROM held AS h LEFT JOIN computed AS n ON n.network_id = h.network_id AND n.date = h.date
