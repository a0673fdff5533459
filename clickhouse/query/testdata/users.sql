WITH page AS (
  SELECT user_id, name, zone FROM users
  WHERE network_id = {network:String} AND user_id > {after:String}
  ORDER BY user_id LIMIT {limit:Int64}
)
SELECT user_id, name, zone, days > 0, toInt32(first_date), toInt32(last_date)
FROM page LEFT JOIN (
  SELECT user_id, count() AS days, min(date) AS first_date, max(date) AS last_date FROM session_days
  WHERE network_id = {network:String} AND user_id IN (SELECT user_id FROM page)
  GROUP BY user_id
) AS active USING (user_id)
ORDER BY user_id
LIMIT {limit:Int64}
-- network = n
-- after = 
-- limit = 100
