-- ARGV: 1 service, 2 time since which this caller has been connected, 3 life of a claim. Returns ids.
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  local ttl, service = string.match(redis.call('HGET', KEYS[2], id) or '', '^(%d+)|([^|]*)|')
  local claim = tonumber(redis.call('HGET', KEYS[3], id)) or 0
  -- Heartbeats fail while Redis is away: nobody is dead before all had one ttl to come back.
  if service == ARGV[1] and claim <= now and now >= ARGV[2] + ttl then
    redis.call('HSET', KEYS[3], id, now + ARGV[3])
    found[#found + 1] = id
  end
end
return found
