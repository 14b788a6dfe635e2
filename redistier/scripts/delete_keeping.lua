-- KEYS[1] entry
-- 1: done; 0: there was nothing; 2: a hold-off, which stays
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == '\251' then
  return 2
end
return redis.call('DEL', KEYS[1])
