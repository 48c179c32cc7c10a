-- KEYS: 1 index of the node's groups in this shard. ARGV: 1 node, 2 key prefix of the shard, 3 to 6 endings of the
-- kind in the group's keys. Returns group, id and seat by turns.
local found = {}
for _, group in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local service, kind, id = string.match(group, '^([^:]*):([^:]*):(.*)$')
  local keys = {}
  for i = 1, 4 do
    keys[i] = ARGV[2] .. service .. ':' .. kind .. ARGV[i + 2] .. ':' .. id
  end
  drop_expired(keys)
  local seats = redis.call('HGETALL', keys[1])
  for i = 1, #seats, 2 do
    local node = unpack_seat(seats[i + 1])
    if node == ARGV[1] then
      remove_seat(keys, seats[i], seats[i + 1])
      found[#found + 1] = group
      found[#found + 1] = seats[i]
      found[#found + 1] = seats[i + 1]
    end
  end
end
redis.call('DEL', KEYS[1])
return found
