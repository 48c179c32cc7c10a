//! Connections to addresses that somebody else has named: resolved, checked against what may be reached, and pinned to what was checked.
