-- Common head of the scripts of tables. ARGV: 1 why this server may lose what it acknowledges; empty where it does not.
-- A table is a hash of rows, each <revision>:<value>, a sorted set of the keys, all of score 0, for their order byte
-- by byte, and its revision. Revisions come from one number for all tables of a service and id.
if ARGV[1] ~= '' then
  return redis.error_reply('NOTDURABLE ' .. ARGV[1])
end

-- Most arguments of one call: Lua's stack has a bound.
local chunk = 1000

-- Reads rows; false where there is none.
local function read_rows(rows, keys, first, last)
  local found = {}
  for from = first, last, chunk do
    local page = redis.call('HMGET', rows, unpack(keys, from, math.min(from + chunk - 1, last)))
    for _, row in ipairs(page) do
      found[#found + 1] = row
    end
  end
  return found
end
