SELECT name, zone, partition FROM users_versions
WHERE network_id = {network:String} AND user_id = {user:String}
ORDER BY version DESC
LIMIT 1
-- network = n
-- user = u
