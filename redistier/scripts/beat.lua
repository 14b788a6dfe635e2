-- KEYS[1] never present, KEYS[2] members; ARGV[1] id
-- the next heartbeat number; for a server that is full, see enroll.lua
redis.call('DEL', KEYS[1])
return redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
