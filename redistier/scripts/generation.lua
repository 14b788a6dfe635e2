-- KEYS[1] tag; ARGV[1] generation if there is none, ARGV[2] its life in ms
-- the generation the tag has now
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < ARGV[2] / 2 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
return redis.call('GET', KEYS[1]) -- also renews this client's registration
