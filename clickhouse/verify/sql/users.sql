-- A user shows in the list if an event of theirs belongs to a session or says a
-- fact, with the newest fact's zone and name.
WITH e AS (
    SELECT network_id, user_id, true AS known, max(offset >= {{.Stored}}) AS flying, countIf(kind != 'other') > 0 AS listed
    FROM events WHERE {{.Users}} GROUP BY network_id, user_id
),
f AS (
    SELECT network_id, user_id, argMax((toString(zone), name), (epoch, offset)) AS fact FROM user_facts WHERE {{.Users}} GROUP BY network_id, user_id
),
u AS (
    SELECT network_id, user_id, true AS known, toString(zone) AS zone, name FROM users WHERE {{.Users}}
),
both AS (
    SELECT
        if(e.known, e.network_id, u.network_id) AS network_id, if(e.known, e.user_id, u.user_id) AS user_id, e.known AS seen, e.listed AS listed,
        e.flying AS flying, u.known AS stored, u.zone AS zone, u.name AS name
    FROM e FULL OUTER JOIN u ON e.network_id = u.network_id AND e.user_id = u.user_id
)
SELECT
    concat(b.network_id, '/', b.user_id) AS identity,
    multiIf(NOT b.stored, if(b.listed, 'has events, is not listed', ''), NOT b.seen, 'is listed, has no event',
        b.zone != f.fact.1, concat('zone ', b.zone, ', newest fact ', f.fact.1), b.name != f.fact.2, concat('name ', b.name, ', newest fact ', f.fact.2), '') AS wrong,
    b.flying AS flying
FROM both AS b LEFT JOIN f ON b.network_id = f.network_id AND b.user_id = f.user_id
