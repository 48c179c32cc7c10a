-- KEYS: 1 entry (v version, d value). ARGV: 1 value, 2 ttl or '', 3 what to compare: 'any', 'none' or a version.
-- Returns the new version as text, or false where something else stands. Versions follow the clock, so that a
-- deleted entry that is written again does not come back with an old version.
local before = redis.call('HGET', KEYS[1], 'v')
if ARGV[3] ~= 'any' and ARGV[3] ~= (before or 'none') then
  return false
end
local time = redis.call('TIME')
local version = math.max(time[1] * 1000000 + time[2], (tonumber(before) or 0) + 1)
local text = string.format('%.0f', version)
redis.call('HSET', KEYS[1], 'v', text, 'd', ARGV[1])
if ARGV[2] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return text
