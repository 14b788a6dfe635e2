-- KEYS[1] ranking, a hash; ARGV[1] its life in ms, ARGV[2] how many names it keeps, ARGV[3..] names and counts
-- 1: done
for i = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local limit = tonumber(ARGV[2])
if redis.call('HLEN', KEYS[1]) <= 2 * limit then
  return 1
end
local all, counts = redis.call('HGETALL', KEYS[1]), {}
for i = 2, #all, 2 do
  counts[#counts + 1] = tonumber(all[i])
end
table.sort(counts)
local least = counts[#counts - limit + 1]
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) < least then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return 1
