-- KEYS[1] entry; ARGV[1] value, ARGV[2] its life in ms
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('EXISTS', KEYS[1]) -- the SET dropped this client's registration
return 1
