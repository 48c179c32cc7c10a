//! What the kernel knows about a process and the machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU seconds, user and system, of all threads of a process: what `/proc/<pid>/stat` says as
/// `utime + stime`, but in nanoseconds, since a burst of connections is over in a few of its ticks.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // A thread may end between the listing and the reading.
        if let Ok(times) = fs::read_to_string(thread?.path().join("schedstat")) {
            nanoseconds += times.split(' ').next().context("no time")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds).as_secs_f64())
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    status(pid, "VmRSS:")
}

/// The most that a process had resident since [`forget_peak`], in bytes.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    status(pid, "VmHWM:")
}

/// Makes [`peak`] start anew.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak of resident memory")
}

fn status(pid: u32, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let value = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    let kib: u64 = value.trim().trim_end_matches(" kB").parse().context("not a number")?;
    Ok(kib * 1024)
}

/// The processor and how busy the machine is.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{count} x {model}, load average {load} at the end")
}
