-- KEYS[1] entry; ARGV[1] value, ARGV[2] its life in ms
-- 1: done; 2: a hold-off, which stays
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == '\251' then
  return 2
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
