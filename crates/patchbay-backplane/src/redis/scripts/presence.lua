-- Common head of the presence scripts.
-- KEYS: 1 members (id to '<#node>:<#user>:<node><user><info>'), 2 ids by expiry, 3 ids in order, 4 users to how
-- many members they have. The groups of a node stand in an index set for each shard, which reap follows.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function unpack_seat(seat)
  local node_length, user_length, start = string.match(seat, '^(%d+):(%d+):()')
  local user_start = start + node_length
  return string.sub(seat, start, user_start - 1), string.sub(seat, user_start, user_start + user_length - 1)
end

local function release_user(keys, user)
  if redis.call('HINCRBY', keys[4], user, -1) <= 0 then
    redis.call('HDEL', keys[4], user)
  end
end

local function remove_seat(keys, id, seat)
  redis.call('HDEL', keys[1], id)
  redis.call('ZREM', keys[2], id)
  redis.call('ZREM', keys[3], id)
  local _, user = unpack_seat(seat)
  release_user(keys, user)
end

local function drop_expired(keys)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys[2], '-inf', now)) do
    local seat = redis.call('HGET', keys[1], id)
    if seat then
      remove_seat(keys, id, seat)
    else
      redis.call('ZREM', keys[2], id)
    end
  end
end
