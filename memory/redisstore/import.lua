-- Makes a session of what was written under another key. Returns 1; 0 if there is
-- such a session; -1 if what was written is gone.
-- KEYS: session, the other key; where they are on the same node, the tenant's index and
-- the tenants. ARGV: life, time to live in ms or 0, updated, tenant, session.
local life = redis.call('HGET', KEYS[1], 'epoch')
if life then
  redis.call('UNLINK', KEYS[2])
  return life == ARGV[1] and 1 or 0 -- 1: the reply was lost
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  return -1
end
if KEYS[3] and list(KEYS[3], ARGV[2], false, 'ZADD', ARGV[3], ARGV[5]) then
  list(KEYS[4], ARGV[2], false, 'SADD', ARGV[4])
end
redis.call('RENAME', KEYS[2], KEYS[1])
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('PERSIST', KEYS[1])
end
return 1
