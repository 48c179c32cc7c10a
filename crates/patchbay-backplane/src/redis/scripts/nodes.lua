-- Common head of the node registry's scripts.
-- KEYS: 1 ids by expiry, 2 id to '<ttl>|<service>|<info>', 3 id to the end of its reaper's claim.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(id)
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
