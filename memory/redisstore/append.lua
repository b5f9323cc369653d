-- Adds a turn. Returns {life, seq, branch}; only {life, seq} if it was added before;
-- or why it was not added: 0, the session is full; 1, turns that it supersedes are not
-- there; 2, the session has no title yet and the turn's was not sent.
-- KEYS: session; where they are on the same node, the tenant's index and the tenants.
-- ARGV: numbers, as below; turn, system, persona, '=' and the title or '', links, the
-- turn's ID as JSON if it must be looked for or '', tenant, session.
local key = KEYS[1]
-- begins: the life if one begins; ttl in ms, 0: none; first and upto: what it supersedes.
local token, begins, more, moreGroups, moreTokens, moreBytes, at, limit, ttl, first, upto, input, cached, output, cost, unpriced =
  string.match(ARGV[1], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
local had = redis.call('HMGET', key, 'epoch', 'seq', 'messages', 'groups', 'tokens', 'bytes', 'recent',
  'dead', 'branch', 'spent', 'title')
local life, last, recent = had[1], tonumber(had[2] or 0), had[7] or ''
local _, found = string.find(recent, ' ' .. token .. ':', 1, true)
if found then
  return {life, tonumber(string.match(recent, '^%d+', found + 1))}
end
local id = ARGV[7]
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

local seq, bytes = last + 1, (had[6] or 0) + moreBytes
first, upto = tonumber(first), tonumber(upto)
if bytes > tonumber(limit) then
  return 0
elseif first > 0 and upto > last then
  return 1
elseif not had[11] and ARGV[5] == '' then
  return 2
end
local lasting = ttl == '0' and redis.call('PERSIST', key) == 1
if KEYS[2] and list(KEYS[2], ttl, lasting, 'ZADD', at, ARGV[9]) then
  list(KEYS[3], ttl, lasting, 'SADD', ARGV[8])
end

local dead, branch = tonumber(had[8] or 0), tonumber(had[9] or 0)
local messages, groups, tokens = (had[3] or 0) + more, (had[4] or 0) + moreGroups, (had[5] or 0) + moreTokens
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
local i, c, o, paid, un = string.match(had[10] or '0 0 0 0 0', '(%S+) (%S+) (%S+) (%S+) (%S+)')
local set = {
  'HSET', key, seq, ARGV[2],
  'seq', seq, 'messages', messages, 'groups', groups, 'tokens', tokens, 'bytes', bytes,
  'updated', at, 'recent', recent .. ' ' .. token .. ':' .. seq,
  'spent', string.format('%d %d %d %d %d', i + input, c + cached, o + output, paid + cost, un + unpriced),
}
local function also(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if not life then
  life = begins
  also('epoch', life)
  also('tenant', ARGV[8])
  also('session', ARGV[9])
  also('created', at)
end
if not had[11] and ARGV[5] ~= '=' then
  also('title', string.sub(ARGV[5], 2))
end
if ARGV[3] ~= '' and ARGV[3] ~= redis.call('HGET', key, 'system') then
  also('system', ARGV[3])
  also('instructed', seq)
end
if ARGV[4] ~= '' and ARGV[4] ~= redis.call('HGET', key, 'persona') then
  also('persona', ARGV[4])
  also('named', seq)
end
for link in string.gmatch(ARGV[6], '%S+') do
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
if ttl ~= '0' then
  redis.call('PEXPIRE', key, ttl)
end
return {life, seq, branch}
