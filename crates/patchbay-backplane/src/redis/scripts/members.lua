-- ARGV: 1 limit. Returns the total, then ids and seats by turns, ordered by id.
drop_expired(KEYS)
local found = { tostring(redis.call('HLEN', KEYS[1])) }
if ARGV[1] ~= '0' then
  local ids = redis.call('ZRANGE', KEYS[3], 0, ARGV[1] - 1)
  for from = 1, #ids, 512 do
    local to = math.min(from + 511, #ids)
    local seats = redis.call('HMGET', KEYS[1], unpack(ids, from, to))
    for i, seat in ipairs(seats) do
      found[#found + 1] = ids[from + i - 1]
      found[#found + 1] = seat or '0:0:'
    end
  end
end
return found
