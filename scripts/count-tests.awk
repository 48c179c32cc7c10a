# Counts what test runners say they ran: cargo test, vitest, node --test and Python's unittest. Prints "PASSED FAILED".
{ gsub(/\033\[[0-9;]*m/, "") }

/^test result:/ { passed += $4; failed += $6 }

/^ *Tests  / {
  for (i = 2; i <= NF; i++) {
    if ($i ~ /^passed/) passed += $(i - 1)
    if ($i ~ /^failed/) failed += $(i - 1)
  }
}

/^(ℹ|#) pass [0-9]+$/ { passed += $3 }
/^(ℹ|#) fail [0-9]+$/ { failed += $3 }

/^Ran [0-9]+ tests?/ { passed += $2 }
/^FAILED \(/ {
  while (match($0, /(failures|errors)=[0-9]+/)) {
    split(substr($0, RSTART, RLENGTH), count, "=")
    failed += count[2]
    passed -= count[2]
    $0 = substr($0, RSTART + RLENGTH)
  }
}

END { print passed + 0, failed + 0 }
