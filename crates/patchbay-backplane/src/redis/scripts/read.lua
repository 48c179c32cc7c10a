-- ARGV: 3 XRANGE or XREVRANGE, 4 and 5 its bounds, 6 count (0: the top alone). Returns epoch, top offset, entries.
local meta = redis.call('HMGET', KEYS[1], 'e', 'r', 'g', 'd', 'o')
local epoch = enter(meta[1], meta[2])
local entries = {}
if ARGV[6] ~= '0' then
  if meta[4] and now >= tonumber(meta[4]) then
    trim_by_age(tonumber(meta[3]))
  end
  entries = redis.call(ARGV[3], KEYS[2], ARGV[4], ARGV[5], 'COUNT', ARGV[6])
end
return { epoch, tonumber(meta[5]) or 0, entries }
