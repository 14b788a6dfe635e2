-- KEYS[1] log of births; the id of the newest, or nil
local newest = redis.call('LINDEX', KEYS[1], 0)
return newest and string.sub(newest, 1, 8)
