-- Adds to an index, which then lives at least as long as what it lists.
local function list(index, ttl, command, ...)
  local left = redis.call('PTTL', index)
  redis.call(command, index, ...)
  if ttl == '0' then
    if left >= 0 then
      redis.call('PERSIST', index)
    end
  elseif left ~= -1 and left < tonumber(ttl) then
    redis.call('PEXPIRE', index, ttl)
  end
end
