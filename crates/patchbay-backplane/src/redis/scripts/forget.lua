-- ARGV: 1 id.
forget(ARGV[1])
return 1
