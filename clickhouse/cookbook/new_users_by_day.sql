-- How many users were seen for the first time on each day?
-- Answer: date, new_users.

SELECT first AS date, count() AS new_users
FROM (SELECT user_id, min(date) AS first FROM session_days WHERE network_id = {network:String} GROUP BY user_id)
WHERE first BETWEEN {from:Date} AND {to:Date}
GROUP BY first
ORDER BY first
