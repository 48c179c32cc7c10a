-- ARGV: 1 limit. Returns the total, then ids and seats by turns, ordered by id.
drop_expired(KEYS)
local found = { tostring(redis.call('HLEN', KEYS[1])) }
if ARGV[1] ~= '0' then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, ARGV[1] - 1)) do
    found[#found + 1] = id
    found[#found + 1] = redis.call('HGET', KEYS[1], id) or '0:0:'
  end
end
return found
