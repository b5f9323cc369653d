-- Writes a finding down, and tells it to all who listen.
-- KEYS: the hash of what is open
-- ARGV: the field, the news, for how many milliseconds it is open (0: it is closed),
--       the greatest number of fields, the channel
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local open, most = tonumber(ARGV[3]), tonumber(ARGV[4])

redis.call('HDEL', KEYS[1], ARGV[1])
if open > 0 then
  if redis.call('HLEN', KEYS[1]) >= most then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
      if (tonumber(string.match(all[i + 1], '^%d+')) or 0) <= now then
        redis.call('HDEL', KEYS[1], all[i])
      end
    end
  end
  if redis.call('HLEN', KEYS[1]) < most then
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + open) .. ' ' .. ARGV[2])
    if redis.call('PTTL', KEYS[1]) < open then
      redis.call('PEXPIRE', KEYS[1], open)
    end
  end
end
redis.call('PUBLISH', ARGV[5], ARGV[2])
return 1
