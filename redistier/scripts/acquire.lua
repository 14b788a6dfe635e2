-- KEYS[1] entry; ARGV[1] lease bytes, ARGV[2] its life in ms
-- -1: acquired; -2: a hold-off; n >= 0: another's lease with n ms left; string: the value
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('GET', KEYS[1]) -- the SET dropped this client's registration
  return -1
end
local v = redis.call('GET', KEYS[1])
if v == ARGV[1] then
  return -1 -- a repeated request must not wait for itself
end
if #v == 9 and string.byte(v, 1) == 0xF9 then
  return math.max(redis.call('PTTL', KEYS[1]), 0)
end
if string.byte(v, 1) == 0xFB then
  return -2
end
return v
