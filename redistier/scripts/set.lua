-- Of each key two arguments: value, its life in ms
-- 1: done
local replies = {}
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * i - 1], 'PX', ARGV[2 * i])
  replies[i] = 1
end
redis.call('EXISTS', unpack(KEYS)) -- the SET dropped this client's registration
return #KEYS == 1 and 1 or replies
