-- One claim on sums. A sum is a hash:
--   s          what replicas that left have spent
--   w:<writer> "spent reserved lease", a replica's part; the lease is the time, in milliseconds, until
--              which its reservations count
--   c:<mark>   the writer that set the mark
--
-- KEYS: the sums. ARGV, for each: writer, spent, reserved (-1: as it is), lease in milliseconds, the
-- time to forget the sum in milliseconds, estimate, limit (0: none), 1 if the writer leaves, the number
-- of marks, the marks. The reply: 1 if the estimates were reserved, then for each sum what others have
-- spent and reserved, and for each mark 1 if it is this writer's.

local highest = 9e15 -- every whole number up to it is exact
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function whole(n)
	return string.format('%.0f', math.min(n, highest))
end

local at = 0
local function take()
	at = at + 1
	return ARGV[at]
end

local function read(key)
	local e = {key = key, others_spent = 0, others_reserved = 0, held = 0, marks = {}}
	e.writer, e.spent, e.reserved = take(), tonumber(take()), tonumber(take())
	e.lease, e.forget = tonumber(take()), take()
	e.estimate, e.limit, e.leaves = tonumber(take()), tonumber(take()), take() == '1'
	for i = 1, tonumber(take()) do
		e.marks[i] = take()
	end
	local fields = redis.call('HGETALL', key)
	for i = 1, #fields, 2 do
		local kind, name = string.sub(fields[i], 1, 2), string.sub(fields[i], 3)
		if fields[i] == 's' then
			e.others_spent = e.others_spent + tonumber(fields[i + 1])
		elseif kind == 'w:' then
			local spent, reserved, lease = string.match(fields[i + 1], '^(%d+) (%d+) (%d+)$')
			if name == e.writer then
				e.known = true
				e.spent, e.held = math.max(e.spent, tonumber(spent)), tonumber(reserved)
			else
				e.others_spent = e.others_spent + tonumber(spent)
				if tonumber(lease) > now then
					e.others_reserved = e.others_reserved + tonumber(reserved)
				end
			end
		end
	end
	if e.reserved < 0 then
		e.reserved = e.held
	end
	return e
end

local function write(e)
	if e.leaves then
		if e.known then
			redis.call('HDEL', e.key, 'w:' .. e.writer)
			redis.call('HSET', e.key, 's', whole(tonumber(redis.call('HGET', e.key, 's') or 0) + e.spent))
		end
	elseif e.spent > 0 or e.reserved > 0 then
		redis.call('HSET', e.key, 'w:' .. e.writer, whole(e.spent) .. ' ' .. whole(e.reserved) .. ' ' .. whole(now + e.lease))
	elseif e.known then
		redis.call('HDEL', e.key, 'w:' .. e.writer)
	end
	for i, mark in ipairs(e.marks) do
		redis.call('HSETNX', e.key, 'c:' .. mark, e.writer)
		e.marks[i] = redis.call('HGET', e.key, 'c:' .. mark) == e.writer and 1 or 0
	end
	redis.call('PEXPIREAT', e.key, e.forget)
end

local entries, admitted = {}, 1
for i, key in ipairs(KEYS) do
	local e = read(key)
	entries[i] = e
	if e.limit > 0 and e.others_spent + e.spent + e.others_reserved + e.reserved >= e.limit then
		admitted = 0
	end
end

local reply = {admitted}
for _, e in ipairs(entries) do
	if admitted == 1 then
		e.reserved = e.reserved + e.estimate
		write(e)
	end
	reply[#reply + 1] = math.min(e.others_spent, highest)
	reply[#reply + 1] = math.min(e.others_reserved, highest)
	for _, mine in ipairs(e.marks) do
		reply[#reply + 1] = mine
	end
end
return reply
