-- Reads up to limit turns before a sequence number, or from the end if it is 0.
-- Returns the first one's sequence number and the turns, or nothing.
-- KEYS: session. ARGV: before, limit.
local key = KEYS[1]
local last = tonumber(redis.call('HGET', key, 'seq') or 0)
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
  local seqs = {}
  for i = from, math.min(last, from + 511) do
    seqs[#seqs + 1] = i
  end
  for _, turn in ipairs(redis.call('HMGET', key, unpack(seqs))) do
    reply[#reply + 1] = turn
  end
end
return reply
