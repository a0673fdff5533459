-- At which hours of their own week do users begin sessions?
-- Answer: weekday (1 is Monday), hour (where the user lives), sessions.

SELECT toDayOfWeek(date) AS weekday, toUInt8(formatDateTime(started_at, '%H', zone)) AS hour, count() AS sessions
FROM sessions
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
GROUP BY weekday, hour
ORDER BY weekday, hour
