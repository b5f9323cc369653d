-- Adds a turn. Returns {life, seq, branch, turns, messages, groups, tokens, bytes,
-- whether it is the first of a life}; only {life, seq} if it was added before; or why
-- it was not added: 0, the session is full; 1, turns that it supersedes are not there;
-- 2, the session has no title yet and the turn's was not sent.
-- KEYS: session; where they are on the same node, the tenant's index and the tenants.
-- ARGV: token, turn, messages, groups, tokens, bytes, at, system, limit in bytes, time
-- to live in ms or 0, tenant, session, life if one begins, persona, '=' and the title or
-- '', input, cached input, output, cost, unpriced, links, first and last superseded turn
-- or 0, its ID as JSON if it must be looked for or ''.
local key, token = KEYS[1], ARGV[1]
local had = redis.call('HMGET', key, 'epoch', 'seq', 'messages', 'groups', 'tokens', 'bytes', 'recent',
  'dead', 'branch', 'spent', 'title')
local life, last, recent = had[1], tonumber(had[2] or 0), had[7] or ''
local _, found = string.find(recent, ' ' .. token .. ':', 1, true)
if found then
  return {life, tonumber(string.match(recent, '^%d+', found + 1))}
end
local id = ARGV[24]
if id ~= '' then
  for from = last, 1, -256 do
    local seqs = {}
    for i = from, math.max(1, from - 255), -1 do
      seqs[#seqs + 1] = i
    end
    for n, turn in ipairs(redis.call('HMGET', key, unpack(seqs))) do
      local _, at = string.find(turn, '^[%d ]+{"v":%d+,"id":')
      if at and string.sub(turn, at + 1, at + #id) == id then
        return {life, seqs[n]}
      end
    end
  end
end

local seq, bytes = last + 1, (had[6] or 0) + ARGV[6]
local first, upto = tonumber(ARGV[22]), tonumber(ARGV[23])
if bytes > tonumber(ARGV[9]) then
  return 0
elseif first > 0 and upto > last then
  return 1
elseif not had[11] and ARGV[15] == '' then
  return 2
end
if KEYS[2] then -- first of all that is written: it is what may fail
  list(KEYS[2], ARGV[10], 'ZADD', ARGV[7], ARGV[12])
  list(KEYS[3], ARGV[10], 'SADD', ARGV[11])
end

local dead, branch = tonumber(had[8] or 0), tonumber(had[9] or 0)
local messages, groups, tokens = (had[3] or 0) + ARGV[3], (had[4] or 0) + ARGV[4], (had[5] or 0) + ARGV[5]
if first > 0 then
  local summarized, covered = tonumber(redis.call('HGET', key, 'up_to') or 0), false
  for i = first, math.max(upto, branch) do -- no turn after the branch supersedes any
    if redis.call('HEXISTS', key, 'x:' .. i) == 0
      and (i <= upto or tonumber(redis.call('HGET', key, 's:' .. i) or 0) >= first) then
      local m, g, t = string.match(redis.call('HGET', key, i), '^(%d+) (%d+) (%d+) ')
      dead, messages, groups, tokens = dead + 1, messages - m, groups - g, tokens - t
      covered = covered or i <= summarized
      redis.call('HSET', key, 'x:' .. i, seq)
    end
  end
  branch = seq
  redis.call('HSET', key, 's:' .. seq, first, 'branch', branch, 'dead', dead)
  if covered then
    redis.call('HDEL', key, 'summary', 'up_to')
    redis.call('HINCRBY', key, 'summaries', 1)
  end
end

local oldest = string.match(recent, ':(%d+)')
if oldest and seq - oldest >= 8 then
  recent = string.sub(recent, string.find(recent, ' ', 2, true))
end
local input, cached, output, cost, unpriced = string.match(had[10] or '0 0 0 0 0', '(%S+) (%S+) (%S+) (%S+) (%S+)')
local set = {
  'HSET', key, seq, ARGV[2],
  'seq', seq, 'messages', messages, 'groups', groups, 'tokens', tokens, 'bytes', bytes,
  'updated', ARGV[7], 'recent', recent .. ' ' .. token .. ':' .. seq,
  'spent', string.format('%.0f %.0f %.0f %.0f %.0f',
    input + ARGV[16], cached + ARGV[17], output + ARGV[18], cost + ARGV[19], unpriced + ARGV[20]),
}
local function also(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if not life then
  life = ARGV[13]
  also('epoch', life)
  also('tenant', ARGV[11])
  also('session', ARGV[12])
  also('created', ARGV[7])
end
if not had[11] and ARGV[15] ~= '=' then
  also('title', string.sub(ARGV[15], 2))
end
if ARGV[8] ~= '' and ARGV[8] ~= redis.call('HGET', key, 'system') then
  also('system', ARGV[8])
  also('instructed', seq)
end
if ARGV[14] ~= '' and ARGV[14] ~= redis.call('HGET', key, 'persona') then
  also('persona', ARGV[14])
  also('named', seq)
end
for link in string.gmatch(ARGV[21], '%S+') do
  local field = 'l:' .. link
  local older = redis.call('HGET', key, field)
  if older and tonumber(older) ~= seq then
    also(field .. ':' .. seq, older)
  end
  also(field, seq)
  if #set > 4000 then -- more than can be unpacked at once
    redis.call(unpack(set))
    set = {'HSET', key, 'seq', seq}
  end
end
redis.call(unpack(set))
if ARGV[10] ~= '0' then
  redis.call('PEXPIRE', key, ARGV[10])
else
  redis.call('PERSIST', key)
end
return {life, seq, branch, seq - dead, messages, groups, tokens, bytes, had[1] and 0 or 1}
