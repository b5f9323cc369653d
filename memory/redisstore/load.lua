-- Reads what a cached tail of a session lacks. Returns nothing if there is no
-- session, 1 if the tail is enough, else the session's head and its live turns, each
-- after its number, newest first: those after the tail, and if they reach it, those
-- before it. System, persona and summary are nil where the tail has the same.
-- KEYS: session. ARGV: the tail's life, branch, summary, last and first turn, turns,
-- messages, groups and tokens; the messages, groups and tokens that are needed.
local key = KEYS[1]
local now = redis.call('HMGET', key, 'epoch', 'seq', 'branch', 'summaries', 'dead')
if not now[1] then
  return false
end
local seq, branch, summaries = tonumber(now[2]), now[3] or '0', now[4] or '0'
local turns = seq - (now[5] or 0)
local last, first = tonumber(ARGV[4]), tonumber(ARGV[5])
local same = now[1] == ARGV[1] and branch == ARGV[2] and last <= seq
if not same then
  last, first = 0, 1
end
local left, messages, groups, tokens = turns, tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local function met()
  return left <= 0 or messages <= 0 and groups <= 0 and tokens <= 0
end
local function have(n, m, g, t)
  left, messages, groups, tokens = left - n, messages - m, groups - g, tokens - t
end
if same and seq == last then
  have(ARGV[6], ARGV[7], ARGV[8], ARGV[9])
  if met() and summaries == ARGV[3] then
    return 1
  end
end

local head = redis.call('HMGET', key, 'messages', 'groups', 'tokens', 'bytes', 'instructed', 'named')
local reply = {
  now[1], branch, summaries, seq, turns, head[1] or '0', head[2] or '0', head[3] or '0', head[4] or '0',
  tonumber(head[5] or 0) > last and redis.call('HGET', key, 'system'),
  tonumber(head[6] or 0) > last and redis.call('HGET', key, 'persona'),
  not (same and summaries == ARGV[3]) and (redis.call('HGET', key, 'summary') or ''),
}
local count = 0
-- live is the turns of a page that nothing superseded.
local function live(from, to)
  local seqs, marks = {}, {}
  if to < tonumber(branch) then
    for i = from, to, -1 do
      marks[#marks + 1] = 'x:' .. i
    end
    marks = redis.call('HMGET', key, unpack(marks))
  end
  for i = from, to, -1 do
    if not marks[from - i + 1] then
      seqs[#seqs + 1] = i
    end
  end
  return seqs
end
local function read(from, to)
  local page = 16
  while from >= to and not met() do
    local seqs = live(from, math.max(to, from - page + 1))
    for n, turn in ipairs(#seqs > 0 and redis.call('HMGET', key, unpack(seqs)) or {}) do
      if met() then
        return
      end
      have(1, string.match(turn, '^(%d+) (%d+) (%d+) '))
      reply[#reply + 1] = seqs[n]
      reply[#reply + 1] = turn
      count = count + 1
    end
    from, page = from - page, math.min(2 * page, 512)
  end
end
if seq > last then
  read(seq, last + 1)
  if same and count == seq - last then
    have(ARGV[6], ARGV[7], ARGV[8], ARGV[9])
  end
end
if count == seq - last then
  read(first - 1, 1)
end
return reply
