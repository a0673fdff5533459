-- Active users of the day, of the 7 days and of the 30 days that end with it; stickiness?
-- Answer: date, dau, wau, mau, stickiness (dau / mau).

SELECT day AS date, uniqExactIf(user_id, active = day) AS dau, uniqExactIf(user_id, active > day - 7) AS wau, uniqExact(user_id) AS mau, round(dau / mau, 3) AS stickiness
FROM (
    SELECT DISTINCT user_id, date AS active, arrayJoin(arrayMap(d -> date + d, range(30))) AS day
    FROM session_days
    WHERE network_id = {network:String} AND date BETWEEN {from:Date} - 29 AND {to:Date}
)
WHERE day BETWEEN {from:Date} AND {to:Date}
GROUP BY day
ORDER BY day
