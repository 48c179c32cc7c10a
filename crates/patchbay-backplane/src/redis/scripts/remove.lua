-- Deletes the entries and starts a new epoch; the offset counter goes on.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'r', ARGV[1])
redis.call('PEXPIRE', KEYS[1], grace)
return 1
