-- KEYS[1] ranking, a hash; ARGV[1] its life in ms, ARGV[2] how many names it keeps, ARGV[3..] names and counts
-- 1: done
local new = false
for i = 3, #ARGV, 2 do
  new = redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) == tonumber(ARGV[i + 1]) or new
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if not new then
  return 1
end
local limit = tonumber(ARGV[2])
local all, counts = redis.call('HGETALL', KEYS[1]), {}
if #all <= 4 * limit then
  return 1
end
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
