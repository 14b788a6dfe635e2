-- KEYS[1] log of births, KEYS[2..] tags of that log
-- ARGV[1] id of a birth, ARGV[2] id of a first one, ARGV[3] its life in ms
-- the generations joined; false: refused
local births = redis.call('LRANGE', KEYS[1], 0, -1)
if #births == 0 then
  redis.call('LPUSH', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('EXISTS', KEYS[1]) -- the writes dropped this client's registration
end
local since = {}
local found = false
for _, birth in ipairs(births) do
  if string.sub(birth, 1, 8) == ARGV[1] then
    found = true
    break
  end
  since[string.sub(birth, 9)] = true
end
local values = {}
for i = 2, #KEYS do -- all of them: each read registers this client
  local v = redis.call('GET', KEYS[i])
  if not v or #v ~= 8 or since[KEYS[i]] then
    found = false
  end
  values[i - 1] = v or ''
end
return found and table.concat(values)
