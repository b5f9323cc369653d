-- Adds to an index, which lives at least as long as what it lists, and at most twice
-- as long. lasting says that what is listed had a time to live and has none any more.
-- Returns whether the index of indexes may need the same.
local function list(index, ttl, lasting, command, ...)
  local added = redis.call(command, index, ...) == 1
  if ttl == '0' then
    if added or lasting then
      redis.call('PERSIST', index)
    end
    return added or lasting
  end
  local left = redis.call('PTTL', index)
  local begun = left == -1 and added and redis.call(command == 'ZADD' and 'ZCARD' or 'SCARD', index) == 1
  if begun or left >= 0 and left < tonumber(ttl) then
    redis.call('PEXPIRE', index, 2 * ttl)
  end
  return true
end
