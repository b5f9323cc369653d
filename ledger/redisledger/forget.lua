-- KEYS: the sessions of an hour. ARGV: the session.
local sessions = redis.call('HGETALL', KEYS[1])
for i = 1, #sessions, 2 do
	if sessions[i + 1] == ARGV[1] then redis.call('HDEL', KEYS[1], sessions[i]) end
end
