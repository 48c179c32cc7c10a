-- Returns how many members and how many users there are.
drop_expired(KEYS)
return { redis.call('HLEN', KEYS[1]), redis.call('HLEN', KEYS[4]) }
