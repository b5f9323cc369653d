-- KEYS: hours, days, rolled, the sums of the hour and of its day; then what else there is
-- of the hour. ARGV: the hour, the day.
local sums = redis.call('HGETALL', KEYS[4])
for i = 1, #sums, 2 do
	redis.call('HINCRBY', KEYS[5], sums[i], sums[i + 1])
end
if #sums > 0 then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[2]) end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[4], unpack(KEYS, 6))
redis.call('INCR', KEYS[3])
