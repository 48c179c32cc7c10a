-- KEYS: 1 map. ARGV: 1 field, 2 value, 3 ttl, 4 fields at most. Returns what stands there as text, and 1 if this call raised it.
-- Compared as text: Lua's numbers are exact only up to 2^53.
local before = redis.call('HGET', KEYS[1], ARGV[1])
local raised = 0
if not before and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return { '0', 0 }
end
if not before or #before < #ARGV[2] or (#before == #ARGV[2] and before < ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  before = ARGV[2]
  raised = 1
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { before, raised }
