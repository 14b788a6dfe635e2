-- KEYS[1] entry; ARGV[1] its new id
-- a value turns stale now, a lease or a damaged value is deleted
-- 1: changed; 0: there was neither
-- The layout of a value is that of package frame.
local v = redis.call('GET', KEYS[1])
local kind = v and string.byte(v, 1) or 0
if kind == 0xF9 then
  return redis.call('DEL', KEYS[1])
end
if kind < 0xF5 or kind > 0xFA then
  return 0
end

local flags, _, id = opening(v)
if not id or #v < id + 18 then
  return redis.call('DEL', KEYS[1])
end
local hard, rest, old = 0, id + 19, 0
for i = id + 6, id + 10 do
  hard = hard * 256 + string.byte(v, i)
end
local soft = math.floor(flags / 16) % 2 == 1
if soft then
  old, rest = uvarint(v, rest)
end
if not old then
  return redis.call('DEL', KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) - 1704067200000
local grace = math.max(old, hard - now)
if grace <= 0 then
  return redis.call('DEL', KEYS[1]) -- past its hard deadline
end
local varint = ''
while grace >= 128 do
  varint = varint .. string.char(grace % 128 + 128)
  grace = math.floor(grace / 128)
end
redis.call('SET', KEYS[1], '\250' .. string.char(soft and flags or flags + 16) .. string.sub(v, 3, id - 1) .. ARGV[1]
  .. string.sub(v, id + 6, id + 18) .. varint .. string.char(grace) .. string.sub(v, rest), 'KEEPTTL')
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
