-- KEYS[1] any key; nil, or its bytes and the ms it has left (negative: none)
local v = redis.call('GET', KEYS[1])
if not v then
  return false
end
return {v, redis.call('PTTL', KEYS[1])}
