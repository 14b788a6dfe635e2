-- KEYS[1] members, KEYS[2] acks; ARGV[1] a member, ARGV[2] its heartbeat number
-- 1: removed; 0: it has moved
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
