-- KEYS: 1 rows. ARGV: 2 and on the keys asked for. Returns the rows in that order, false where there is none.
return read_rows(KEYS[1], ARGV, 2, #ARGV)
