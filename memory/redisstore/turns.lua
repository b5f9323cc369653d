-- Reads up to limit turns before a sequence number, or from the end if it is 0.
-- Returns the first one's sequence number, then each turn after the one that superseded
-- it, or nothing.
-- KEYS: session. ARGV: before, limit.
local key = KEYS[1]
local had = redis.call('HMGET', key, 'seq', 'branch')
local last, branch = tonumber(had[1] or 0), tonumber(had[2] or 0)
local before, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
if before > 0 then
  last = math.min(last, before - 1)
end
local first = math.max(1, last - limit + 1)
if last < first then
  return false
end
local reply = {first}
for from = first, last, 512 do
  local seqs, marks = {}, {}
  for i = from, math.min(last, from + 511) do
    seqs[#seqs + 1] = i
    marks[#marks + 1] = 'x:' .. i
  end
  marks = from < branch and redis.call('HMGET', key, unpack(marks)) or {}
  for n, turn in ipairs(redis.call('HMGET', key, unpack(seqs))) do
    reply[#reply + 1] = marks[n] or '0'
    reply[#reply + 1] = turn
  end
end
return reply
