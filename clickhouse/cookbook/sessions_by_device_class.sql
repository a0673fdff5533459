-- How do phones and browsers differ?
-- Answer: device_class, sessions, users, hours, median_s, p90_s (of a session's length).

SELECT device_class, count() AS sessions, uniqExact(user_id) AS users, round(sum(duration_s) / 3600, 1) AS hours,
    quantileExact(0.5)(duration_s) AS median_s, quantileExact(0.9)(duration_s) AS p90_s
FROM sessions
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
GROUP BY device_class
ORDER BY device_class
