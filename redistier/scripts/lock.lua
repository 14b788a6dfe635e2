-- KEYS[1] lock, KEYS[2] its last number; ARGV[1] lease bytes, ARGV[2] its life in ms, ARGV[3] life of the number in ms
-- n < 0: taken, for -1-n ms; n > 0: granted with number n
local v = redis.call('GET', KEYS[1])
if v and v ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[2]) -- it has no end: look again some time
  end
  return -1 - left
end
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if v and last > 0 then
  return last -- a repeated request
end
-- At least the clock in microseconds, so that numbers grow although Redis may
-- lose the last one. Below 2^53, which a number of Lua holds exactly, until 2255.
local time = redis.call('TIME')
local number = math.max(last + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[2], string.format('%.0f', number), 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('GET', KEYS[1]) -- the SET dropped this client's registration
return number
