-- KEYS[1] entry; ARGV[1] token, ARGV[2] life of its part in ms, 0 ends the part
-- The value of a hold-off: 0xFB, then 8 bytes of token and 6 of deadline for
-- each holder. Whatever else the key holds is replaced. 1: done
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local longest, holders = now, {'\251'}

local function keep(token, deadline)
  local d, rest = {}, deadline
  for i = 6, 1, -1 do
    d[i] = rest % 256
    rest = (rest - d[i]) / 256
  end
  holders[#holders + 1] = token .. string.char(unpack(d))
  longest = math.max(longest, deadline)
end

local v = ''
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == '\251' then
  v = redis.call('GET', KEYS[1])
end
if #v % 14 == 1 then
  for at = 2, #v, 14 do
    local token, deadline = string.sub(v, at, at + 7), 0
    for i = at + 8, at + 13 do
      deadline = deadline * 256 + string.byte(v, i)
    end
    if token ~= ARGV[1] and deadline > now then
      keep(token, deadline)
    end
  end
end
if ARGV[2] ~= '0' then
  keep(ARGV[1], now + ARGV[2])
end
if #holders == 1 then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('SET', KEYS[1], table.concat(holders), 'PX', longest - now)
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
