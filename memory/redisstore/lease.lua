-- Gives the lease to a holder unless another has it. Returns 1 if the holder has it.
-- KEYS: session. ARGV: holder, for how many ms; 0 gives it back.
local key, holder, long = KEYS[1], ARGV[1], tonumber(ARGV[2])
local had = redis.call('HMGET', key, 'epoch', 'lease', 'leased')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not had[1] or had[2] and had[2] ~= holder and tonumber(had[3]) > now then
  return 0
end
if long <= 0 then
  redis.call('HDEL', key, 'lease', 'leased')
  return 0
end
redis.call('HSET', key, 'lease', holder, 'leased', now + long)
return 1
