-- Adds a turn. Returns {epoch, seq}, or 0 if the session is full.
-- KEYS: session. ARGV: token, turn, messages, groups, tokens, bytes, at, system,
-- limit in bytes, time to live in ms or 0, tenant, session.
local key, token = KEYS[1], ARGV[1]
local had = redis.call('HMGET', key, 'epoch', 'seq', 'messages', 'groups', 'tokens', 'bytes', 'recent')
local epoch, recent = had[1], had[7] or ''
local _, found = string.find(recent, ' ' .. token .. ':', 1, true)
if found then
  return {epoch, tonumber(string.match(recent, '^%d+', found + 1))}
end
local function total(i)
  return (had[i] or 0) + ARGV[i]
end
local bytes = total(6)
if bytes > tonumber(ARGV[9]) then
  return 0
end
local seq = (had[2] or 0) + 1
if seq > 8 then
  recent = string.sub(recent, string.find(recent, ' ', 2, true))
end
local set = {
  'HSET', key, seq, ARGV[2],
  'seq', seq, 'messages', total(3), 'groups', total(4), 'tokens', total(5), 'bytes', bytes,
  'updated', ARGV[7], 'recent', recent .. ' ' .. token .. ':' .. seq,
}
local function also(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if not epoch then
  epoch = token
  also('epoch', epoch)
  also('tenant', ARGV[11])
  also('session', ARGV[12])
  also('created', ARGV[7])
end
if ARGV[8] ~= '' and ARGV[8] ~= redis.call('HGET', key, 'system') then
  also('system', ARGV[8])
  also('instructed', seq)
end
redis.call(unpack(set))
if ARGV[10] ~= '0' then
  redis.call('PEXPIRE', key, ARGV[10])
else
  redis.call('PERSIST', key)
end
return {epoch, seq}
