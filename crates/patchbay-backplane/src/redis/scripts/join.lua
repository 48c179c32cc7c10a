-- KEYS: 5 index of the node's groups. ARGV: 1 ttl, 2 group, then for each member its id, user and seat.
drop_expired(KEYS)
local ttl = tonumber(ARGV[1])
for i = 3, #ARGV, 3 do
  local id, user, seat = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local before = redis.call('HGET', KEYS[1], id)
  if before ~= seat then
    redis.call('HSET', KEYS[1], id, seat)
    redis.call('HINCRBY', KEYS[4], user, 1)
    if before then
      local _, user_before = unpack_seat(before)
      release_user(KEYS, user_before)
    else
      redis.call('ZADD', KEYS[3], 0, id)
    end
  end
  redis.call('ZADD', KEYS[2], now + ttl, id)
end
redis.call('SADD', KEYS[5], ARGV[2])
-- Everything of the group outlives its members a little, and goes together.
for i = 1, #KEYS do
  if redis.call('PTTL', KEYS[i]) < ttl + 60000 then
    redis.call('PEXPIRE', KEYS[i], ttl + 120000)
  end
end
return 1
