-- KEYS: hours, sums, rows, entries, sessions, ids. ARGV: the hour, its time to live in
-- seconds (0: for ever), how many calls of one id are kept; then for each entry its UID,
-- row, session, id and text, the number of its counters, and their fields and values.
-- Numbers stay text: those of Lua are not exact.
local at, longest = 4, -16 * ARGV[3]
while at <= #ARGV do
	local uid, row, session, id, entry, n = unpack(ARGV, at, at + 5)
	at = at + 6
	if redis.call('HSETNX', KEYS[3], uid, row) == 1 then
		redis.call('HSET', KEYS[4], uid, entry)
		if session ~= '' then redis.call('HSET', KEYS[5], uid, session) end
		if id ~= '' then
			local others = redis.call('HGET', KEYS[6], id) or ''
			redis.call('HSET', KEYS[6], id, string.sub(others .. uid, longest))
		end
		for i = at, at + 2 * n - 1, 2 do
			redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
		end
	end
	at = at + 2 * n
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[1])
if ARGV[2] ~= '0' then
	for i = 3, 6 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
end
