-- KEYS: 3 idempotency key, if any. ARGV: 3 publish command, 4 channel, 5 payload, 6 maximum length, 7 maximum age,
-- 8 life of the idempotency key. Returns epoch, offset, 1 if the key was known.
if KEYS[3] then
  local known = redis.call('GET', KEYS[3])
  if known then
    local epoch, offset = string.match(known, '^(.*):(%d+)$')
    return { epoch, tonumber(offset), 1 }
  end
end

local meta = redis.call('HMGET', KEYS[1], 'e', 'r', 'g', 'd', 'x')
local epoch = enter(meta[1], meta[2])
local offset = redis.call('HINCRBY', KEYS[1], 'o', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[6], offset .. '-' .. now, 'p', ARGV[5])

local max_age = tonumber(ARGV[7])
if meta[3] ~= ARGV[7] or now >= (tonumber(meta[5]) or 0) + 60000 then
  redis.call('HSET', KEYS[1], 'g', ARGV[7], 'x', now)
  redis.call('PEXPIRE', KEYS[1], max_age + grace)
  redis.call('PEXPIRE', KEYS[2], max_age + 120000)
end
-- A second late here, so that a busy stream is not trimmed entry by entry; reads trim to the millisecond.
if meta[3] ~= ARGV[7] or now >= (tonumber(meta[4]) or 0) + 1000 then
  trim_by_age(max_age)
end

if KEYS[3] then
  redis.call('SET', KEYS[3], epoch .. ':' .. offset, 'PX', ARGV[8])
end
redis.call(ARGV[3], ARGV[4], '1' .. epoch .. ':' .. offset .. ':' .. ARGV[5])
return { epoch, offset, 0 }
