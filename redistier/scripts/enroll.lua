-- KEYS[1] never present, KEYS[2] members; ARGV[1] id, ARGV[2] its first heartbeat number
-- A write that needs no memory comes first: after it a full server refuses none.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
