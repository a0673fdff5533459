SELECT toInt32(max(date)) AS day FROM session_days
WHERE network_id = {network:String} AND user_id = {user:String}
HAVING count() > 0
LIMIT 1
-- network = n
-- user = u
