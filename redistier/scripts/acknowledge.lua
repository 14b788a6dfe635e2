-- KEYS[1] never present, KEYS[2] acks; ARGV[1] id, ARGV[2] the request it has seen
-- 1; for a server that is full, see enroll.lua
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
