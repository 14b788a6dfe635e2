-- KEYS[1] tag, KEYS[2] its log of births if it has one
-- ARGV[1] generation if there is none, ARGV[2] its life in ms, ARGV[3] id of its birth
-- the generation the tag has now
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if KEYS[2] then
    redis.call('LPUSH', KEYS[2], ARGV[3] .. KEYS[1])
    redis.call('LTRIM', KEYS[2], 0, 127)
    if redis.call('PTTL', KEYS[2]) < ARGV[2] / 2 then
      redis.call('PEXPIRE', KEYS[2], ARGV[2])
    end
    redis.call('EXISTS', KEYS[2]) -- the writes dropped this client's registration
  end
else
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < ARGV[2] / 2 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
return redis.call('GET', KEYS[1]) -- also renews this client's registration
