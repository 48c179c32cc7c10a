-- KEYS: 1 lease. ARGV: 1 holder, 2 token, 3 ttl, or '' to give up. Returns 1 if the lease was the holder's.
local held = redis.call('HMGET', KEYS[1], 'h', 't')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
