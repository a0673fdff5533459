SELECT name, zone, partition, version FROM users_versions
WHERE network_id = {network:String} AND user_id = {user:String}
LIMIT {limit:Int64}
-- network = n
-- user = u
-- limit = 1000000000
