-- ARGV: 1 id, 2 ttl, 3 record. Returns 1 if the node was known and nobody has declared it dead.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 86400000, 'LIMIT', 0, 16)) do
  forget(id) -- of a service that nobody runs any more
end
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
local claimed = redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return (known and claimed == 0) and 1 or 0
