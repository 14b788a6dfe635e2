-- KEYS[1] entry; ARGV[1] lease bytes
-- 1: done; 0: refused
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
