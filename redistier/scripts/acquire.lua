-- Of each key two arguments: lease bytes, their life in ms
-- -1: acquired; -2: a hold-off; n >= 0: another's lease with n ms left; string: the value
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * i - 1], 'NX', 'PX', ARGV[2 * i])
end
local replies = redis.call('MGET', unpack(KEYS)) -- also as the SET dropped this client's registration
for i, v in ipairs(replies) do
  if v == ARGV[2 * i - 1] then
    replies[i] = -1 -- or a repeated request would wait for itself
  elseif not v then
    replies[i] = redis.pcall('GET', KEYS[i]) -- no string: an error for this key alone
  elseif #v == 9 and string.byte(v, 1) == 0xF9 then
    replies[i] = math.max(redis.call('PTTL', KEYS[i]), 0)
  elseif string.byte(v, 1) == 0xFB then
    replies[i] = -2
  end
end
return #KEYS == 1 and replies[1] or replies
