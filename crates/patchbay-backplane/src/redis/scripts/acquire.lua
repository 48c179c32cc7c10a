-- KEYS: 1 lease (h holder, t token), 2 last token of the shard, which never expires. ARGV: 1 holder, 2 ttl.
-- Returns the token as text, or false. Tokens follow the clock, so that they rise even where Redis lost its data.
local held = redis.call('HMGET', KEYS[1], 'h', 't')
if held[1] and held[1] ~= ARGV[1] then
  return false
end
local token = held[2]
if not token then
  local time = redis.call('TIME')
  local clock = time[1] * 1000 + math.floor(time[2] / 1000)
  token = string.format('%.0f', math.max(clock, (tonumber(redis.call('GET', KEYS[2])) or 0) + 1))
  redis.call('SET', KEYS[2], token)
  redis.call('HSET', KEYS[1], 'h', ARGV[1], 't', token)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
