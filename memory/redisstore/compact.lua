-- Replaces the summary, or forgets it if it is ''. Returns 1, or 0 if the session is
-- not at the revision.
-- KEYS: session. ARGV: life, branch, count of summaries, summary, its last turn.
local key = KEYS[1]
local had = redis.call('HMGET', key, 'epoch', 'branch', 'summaries')
if had[1] ~= ARGV[1] or (had[2] or '0') ~= ARGV[2] or (had[3] or '0') ~= ARGV[3] then
  return 0
end
if ARGV[4] == '' then
  redis.call('HDEL', key, 'summary', 'up_to')
else
  redis.call('HSET', key, 'summary', ARGV[4], 'up_to', ARGV[5])
end
redis.call('HINCRBY', key, 'summaries', 1)
return 1
