-- Returns for how many milliseconds each finding still holds, and its news.
-- KEYS: the hash of what is open
-- ARGV: the greatest number of fields
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}

if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then
  return found -- by somebody else
end
local values = redis.call('HVALS', KEYS[1])
for i = 1, #values do
  local till, news = string.match(values[i], '^(%d+) (.*)$')
  local left = (tonumber(till) or 0) - now
  if left > 0 then
    found[#found + 1] = left
    found[#found + 1] = news
  end
end
return found
