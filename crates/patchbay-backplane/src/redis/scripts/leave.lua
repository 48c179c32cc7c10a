-- ARGV: 1 member. Returns 1 if it was there.
drop_expired(KEYS)
local seat = redis.call('HGET', KEYS[1], ARGV[1])
if not seat then
  return 0
end
remove_seat(KEYS, ARGV[1], seat)
return 1
