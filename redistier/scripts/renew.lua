-- KEYS[1] entry; ARGV[1] lease bytes, ARGV[2] its new life in ms
-- 1: done; 0: refused
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('EXISTS', KEYS[1]) -- the PEXPIRE dropped this client's registration
return 1
