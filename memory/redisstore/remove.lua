-- Deletes a session if its last turn is the one that is given; '' is any. What lists
-- a session that is not there is removed. Returns 1; 0 if there is no such session; -1
-- if its last turn is another.
-- KEYS: session; where they are on the same node, the tenant's index and the tenants.
-- ARGV: last turn, tenant, session.
local seq = redis.call('HGET', KEYS[1], 'seq')
if seq and ARGV[1] ~= '' and ARGV[1] ~= seq then
  return -1
end
redis.call('UNLINK', KEYS[1])
if KEYS[2] then
  redis.call('ZREM', KEYS[2], ARGV[3])
  if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('SREM', KEYS[3], ARGV[2])
  end
end
return seq and 1 or 0
