-- Returns the newest live turn that has the first of the links that any has, or 0.
-- KEYS: session. ARGV: links, apart by spaces.
local key = KEYS[1]
for link in string.gmatch(ARGV[1], '%S+') do
  local field = 'l:' .. link
  local seq = redis.call('HGET', key, field)
  while seq and redis.call('HEXISTS', key, 'x:' .. seq) == 1 do
    seq = redis.call('HGET', key, field .. ':' .. seq)
  end
  if seq then
    return tonumber(seq)
  end
end
return 0
