-- KEYS: 1 last revision given, then for each table its rows, its order and its revision. ARGV: 2 publish command,
-- 3 number of tables, for each its channel and its changed keys as JSON; then for each change its table (from 0),
-- its key, what must stand there ('any', 'none' or a revision), 'put' or 'delete', and the value.
-- Returns 1 and the revision as text, or 0 and the first change (from 0) whose expectation does not hold.
local tables = tonumber(ARGV[3])
local first = 4 + 2 * tables

for i = first, #ARGV, 5 do
  local expect = ARGV[i + 2]
  if expect ~= 'any' then
    local row = redis.call('HGET', KEYS[2 + 3 * ARGV[i]], ARGV[i + 1])
    if expect ~= (row and string.match(row, '^%d+') or 'none') then
      return { 0, tostring((i - first) / 5) }
    end
  end
end

-- Revisions follow the clock, so that they rise even after Redis has lost its data.
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
local revision = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
redis.call('SET', KEYS[1], revision)

for i = first, #ARGV, 5 do
  local at, key = 2 + 3 * ARGV[i], ARGV[i + 1]
  if ARGV[i + 3] == 'put' then
    redis.call('HSET', KEYS[at], key, revision .. ':' .. ARGV[i + 4])
    redis.call('ZADD', KEYS[at + 1], 0, key)
  else
    redis.call('HDEL', KEYS[at], key)
    redis.call('ZREM', KEYS[at + 1], key)
  end
end

for i = 0, tables - 1 do
  redis.call('SET', KEYS[4 + 3 * i], revision)
  local event = '{"revision":' .. revision .. ',"keys":' .. ARGV[5 + 2 * i] .. '}'
  redis.call(ARGV[2], ARGV[4 + 2 * i], '0' .. event)
end
return { 1, revision }
