-- Of each key three arguments: lease bytes, value, its life in ms
-- 1: done; 0: refused
local replies = redis.call('MGET', unpack(KEYS))
for i, v in ipairs(replies) do
  if v == ARGV[3 * i - 2] then
    redis.call('SET', KEYS[i], ARGV[3 * i - 1], 'PX', ARGV[3 * i])
    replies[i] = 1
  else
    replies[i] = not v and redis.pcall('GET', KEYS[i]) or 0 -- no string: an error for this key alone
  end
end
redis.call('EXISTS', unpack(KEYS)) -- the SET dropped this client's registration
return #KEYS == 1 and replies[1] or replies
