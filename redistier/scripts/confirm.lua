-- KEYS[1] requests, KEYS[2] members, KEYS[3] acks
-- ARGV[1] who asks, ARGV[2] era of a first request
-- the request, the own heartbeat number (or an empty string), then id and
-- heartbeat number of everybody else
local last = redis.call('GET', KEYS[1])
local era, n = string.match(last or '', '^(%x+):(%d+)$')
local request = (era or ARGV[2]) .. ':' .. string.format('%d', (n or 0) + 1)
redis.call('SET', KEYS[1], request)
redis.call('EXISTS', KEYS[1], KEYS[3]) -- the SET dropped this client's registration
local reply = {request, redis.call('HGET', KEYS[2], ARGV[1]) or ''}
local members = redis.call('HGETALL', KEYS[2])
for i = 1, #members, 2 do
  if members[i] ~= ARGV[1] then
    reply[#reply + 1] = members[i]
    reply[#reply + 1] = members[i + 1]
  end
end
return reply
