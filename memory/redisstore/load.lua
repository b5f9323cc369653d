-- Reads what a cached tail of a session lacks. Returns nothing if there is no
-- session, 1 if the tail is enough, else the session's head and turns, newest
-- first: those after the tail, and if they reach it, those before it.
-- KEYS: session. ARGV: the tail's epoch, last and first turn, messages, groups and
-- tokens; the messages, groups and tokens that are needed.
local key = KEYS[1]
local now = redis.call('HMGET', key, 'epoch', 'seq')
if not now[1] then
  return false
end
local seq, last, first = tonumber(now[2]), tonumber(ARGV[2]), tonumber(ARGV[3])
local messages, groups, tokens = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if now[1] ~= ARGV[1] or last > seq then
  last, first = 0, 1
end
local function met()
  return messages <= 0 and groups <= 0 and tokens <= 0
end
local function have(m, g, t)
  messages, groups, tokens = messages - m, groups - g, tokens - t
end
if seq == last then
  have(ARGV[4], ARGV[5], ARGV[6])
  if first == 1 or met() then
    return 1
  end
end

local reply = redis.call('HMGET', key, 'epoch', 'seq', 'messages', 'groups', 'tokens', 'bytes', 'instructed')
reply[8] = tonumber(reply[7] or 0) > last and redis.call('HGET', key, 'system')
local function read(from, to)
  local page = 16
  while from >= to and not met() do
    local seqs = {}
    for i = from, math.max(to, from - page + 1), -1 do
      seqs[#seqs + 1] = i
    end
    for _, turn in ipairs(redis.call('HMGET', key, unpack(seqs))) do
      if met() then
        return
      end
      have(string.match(turn, '^(%d+) (%d+) (%d+) '))
      reply[#reply + 1] = turn
    end
    from, page = from - page, math.min(2 * page, 512)
  end
end
if seq > last then
  read(seq, last + 1)
  if #reply - 8 == seq - last then
    have(ARGV[4], ARGV[5], ARGV[6])
  end
end
if #reply - 8 == seq - last then
  read(first - 1, 1)
end
return reply
