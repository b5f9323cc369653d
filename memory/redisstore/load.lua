-- Reads what a cached tail of a session lacks. Returns nothing if there is no
-- session, 1 if the tail is enough, else the session's head and its live turns, each
-- after its number, newest first: those after the tail, and if they reach it, those
-- before it. System, persona and summary are nil where the tail has the same.
-- KEYS: session. ARGV: the tail's life, branch, summary and last turn if it holds what
-- is needed, else ''; numbers, as below: those of the tail, then what is needed.
local key = KEYS[1]
local now = redis.call('HMGET', key, 'epoch', 'branch', 'summaries', 'seq')
if not now[1] then
  return false
end
local branch, summaries = now[2] or '0', now[3] or '0'
if now[1] .. ' ' .. branch .. ' ' .. summaries .. ' ' .. now[4] == ARGV[1] then
  return 1
end
local life, tailBranch, tailSummaries, last, first, held, heldMessages, heldGroups, heldTokens, messages, groups, tokens =
  string.match(ARGV[2], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
local seq = tonumber(now[4])
last, first = tonumber(last), tonumber(first)
local same = now[1] == life and branch == tailBranch and last <= seq
if not same then
  last, first = 0, 1
end
local head = redis.call('HMGET', key, 'dead', 'messages', 'groups', 'tokens', 'bytes', 'instructed', 'named')
local turns = seq - (head[1] or 0)
local reply = {
  now[1], branch, summaries, seq, turns, head[2] or '0', head[3] or '0', head[4] or '0', head[5] or '0',
  tonumber(head[6] or 0) > last and redis.call('HGET', key, 'system'),
  tonumber(head[7] or 0) > last and redis.call('HGET', key, 'persona'),
  not (same and summaries == tailSummaries) and (redis.call('HGET', key, 'summary') or ''),
}

-- What is left to read, and what it is needed for.
local left = turns
messages, groups, tokens = tonumber(messages), tonumber(groups), tonumber(tokens)
local function met()
  return left <= 0 or messages <= 0 and groups <= 0 and tokens <= 0
end
local function have(n, m, g, t)
  left, messages, groups, tokens = left - n, messages - m, groups - g, tokens - t
end
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
read(seq, last + 1)
if same and count == seq - last then
  have(held, heldMessages, heldGroups, heldTokens)
  read(first - 1, 1)
end
return reply
