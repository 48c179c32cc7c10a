-- KEYS: 1 the table's revision. Returns it as text, or false.
return redis.call('GET', KEYS[1])
