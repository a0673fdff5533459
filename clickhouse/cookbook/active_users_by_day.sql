-- How many people were active on each day, and for how long?
-- Answer: date (local, each user's own), users, sessions (that began on it), hours (any session open), minutes_a_user.

SELECT date, users, sessions, round(active_s / 3600, 1) AS hours, round(active_s / 60 / users, 1) AS minutes_a_user
FROM daily_networks
WHERE network_id = {network:String} AND date BETWEEN {from:Date} AND {to:Date}
ORDER BY date
