-- KEYS: 1 rows, 2 order. ARGV: 2 range command, 3 and 4 where to begin and to end, 5 rows at most.
-- Returns '1' if more follow, else '0', then keys and rows by turns.
local limit = tonumber(ARGV[5])
local keys = redis.call(ARGV[2], KEYS[2], ARGV[3], ARGV[4], 'LIMIT', 0, limit + 1)
local more = #keys > limit
local last = more and limit or #keys
local rows = read_rows(KEYS[1], keys, 1, last)
local answer = { more and '1' or '0' }
for i = 1, last do
  answer[2 * i] = keys[i]
  answer[2 * i + 1] = rows[i]
end
return answer
