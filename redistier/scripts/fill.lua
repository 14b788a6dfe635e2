-- KEYS[1] entry; ARGV[1] lease bytes, ARGV[2] value, ARGV[3] its life in ms
-- 1: done; 0: refused
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
