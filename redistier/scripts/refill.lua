-- KEYS[1] entry; ARGV[1] leading bytes, ARGV[2] value, ARGV[3] its life in ms
-- 1: done; 0: refused
local head = redis.call('GETRANGE', KEYS[1], 0, math.max(#ARGV[1] - 1, 0))
if string.sub(head, 1, #ARGV[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
