-- How much of their time do users spend on two devices at once?
-- Answer: date, users, overlapping_users, overlap_min, share (of all session time).

SELECT date, count() AS users, countIf(overlap_s > 0) AS overlapping_users, round(sum(overlap_s) / 60) AS overlap_min, round(sum(overlap_s) / sum(duration_s), 4) AS share
FROM daily_users
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
GROUP BY date
ORDER BY date
