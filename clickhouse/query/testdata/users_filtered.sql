WITH page AS (
  SELECT user_id, name, zone FROM users
  WHERE network_id = {network:String} AND user_id > {after:String}
    AND (positionCaseInsensitiveUTF8(user_id, {search:String}) > 0 OR positionCaseInsensitiveUTF8(name, {search:String}) > 0)
    AND user_id IN (SELECT user_id FROM session_days WHERE network_id = {network:String} AND date BETWEEN toDate({from:Int32}) AND toDate({to:Int32}))
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
-- after = k
-- limit = 100
-- search = x
-- from = 20574
-- to = 20587
