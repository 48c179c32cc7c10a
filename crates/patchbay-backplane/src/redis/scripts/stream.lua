-- Common head of the stream scripts.
-- KEYS: 1 meta hash, 2 entries. ARGV: 1 run ('always' where nothing acknowledged can be lost), 2 candidate epoch.
-- Meta: e epoch, o top offset, r run that wrote last, g maximum age, d when the oldest entry expires, x last PEXPIRE.
-- Entries have the id <offset>-<time in ms>: order and age need no field of their own.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local grace = 86400000

-- The epoch, a new one where the numbering may not go on: nothing is known of the stream, or Redis was restarted
-- and may have lost a tail whose offsets somebody has seen. In the second case entries and counter are kept.
local function enter(epoch, run)
  if not epoch then
    epoch = ARGV[2]
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[1], 'e', epoch, 'r', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], grace)
  elseif run ~= ARGV[1] then
    if run ~= 'always' then
      epoch = ARGV[2]
    end
    redis.call('HSET', KEYS[1], 'e', epoch, 'r', ARGV[1])
  end
  return epoch
end

-- Drops entries of max_age and older; costs as much as it drops.
local function trim_by_age(max_age)
  local from, kept, due = '-', nil, now + max_age
  repeat
    local page = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 64)
    for _, entry in ipairs(page) do
      local at = tonumber(string.match(entry[1], '%-(%d+)$'))
      if at + max_age > now then
        kept, due = entry[1], at + max_age
        break
      end
      from = '(' .. entry[1]
    end
  until kept or #page < 64
  if kept then
    redis.call('XTRIM', KEYS[2], 'MINID', kept)
  else
    redis.call('DEL', KEYS[2])
  end
  redis.call('HSET', KEYS[1], 'd', due)
end
