-- KEYS[1] members, KEYS[2] acks; ARGV[1] who asks, ARGV[2] the request
-- id and heartbeat number of everybody else who has not seen it
local era, n = string.match(ARGV[2], '^(%x+):(%d+)$')
local seen = {}
local acks = redis.call('HGETALL', KEYS[2])
for i = 1, #acks, 2 do
  local e, m = string.match(acks[i + 1], '^(%x+):(%d+)$')
  seen[acks[i]] = e == era and tonumber(m) >= tonumber(n)
end
local reply = {}
local members = redis.call('HGETALL', KEYS[1])
for i = 1, #members, 2 do
  if members[i] ~= ARGV[1] and not seen[members[i]] then
    reply[#reply + 1] = members[i]
    reply[#reply + 1] = members[i + 1]
  end
end
return reply
