//! Figures that tests measure.

use std::{
    io::{self, Write},
    time::Duration,
};

/// Prints a line past the test harness, which would keep it to itself while the test passes.
pub fn report(line: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(io::stderr(), "measured: {line}"));
}

/// Prints how long something took, and how long it should.
pub fn measured(name: &str, what: &str, took: Duration, goal: Duration) {
    report(&format!("{name}: {what} after {:.1} s (goal {} s)", took.as_secs_f64(), goal.as_secs()));
}
