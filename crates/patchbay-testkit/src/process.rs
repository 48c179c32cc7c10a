//! Real processes: started, watched, stopped and killed by their id.

use crate::{binaries, http, wait::wait_until};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// Lines of the log that are printed when a test fails.
const TAIL: usize = 60;

/// Time that a process has to become ready.
const START: Duration = Duration::from_secs(30);

/// A process to start.
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    log: PathBuf,
}

impl Launch {
    /// A binary of this workspace; its output goes to `<folder>/<name>.log`.
    pub fn binary(package: &str, name: &str, folder: &Path) -> Result<Self> {
        Ok(Self::program(binaries::binary(package)?, name, folder))
    }

    /// Any program.
    pub fn program(program: impl Into<PathBuf>, name: &str, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: folder.join(format!("{name}.log")),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable; nothing of this process's environment but `PATH` and `HOME` is passed on.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<Process> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(inherited)
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { name: self.name, child, log: self.log, exit: None })
    }

    /// Starts it and waits until its operations port says that it is ready.
    pub async fn start_ready(self, ops: SocketAddr) -> Result<Process> {
        let mut process = self.start()?;
        process.wait_ready(ops).await?;
        Ok(process)
    }
}

/// A running process. Dropped, it is killed, and if the test is failing the end of its log is printed.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    exit: Option<ExitStatus>,
}

impl Process {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Waits until `/readyz` answers 200.
    pub async fn wait_ready(&mut self, ops: SocketAddr) -> Result<Duration> {
        let ready = wait_until(&format!("{} is ready", self.name), START, async || {
            self.has_ended() || http::get(ops, "/readyz", &[]).await.is_ok_and(|answer| answer.status == 200)
        })
        .await?;
        if self.has_ended() {
            bail!("{} ended before it was ready ({:?}):\n{}", self.name, self.exit, self.log_tail());
        }
        Ok(ready)
    }

    /// Sends `SIGKILL` and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.exit = Some(self.child.wait()?);
        Ok(())
    }

    /// Sends `SIGTERM`.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends `SIGSTOP`: the process stands still, its connections stay.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Sends `SIGCONT`.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for the end and returns the exit code; `None` when a signal ended it.
    pub async fn wait_exit(&mut self, deadline: Duration) -> Result<Option<i32>> {
        wait_until(&format!("{} ends", self.name), deadline, async || self.has_ended()).await?;
        Ok(self.exit.and_then(|status| status.code()))
    }

    fn has_ended(&mut self) -> bool {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().ok().flatten();
        }
        self.exit.is_some()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the log of a failed test belongs on its output")]
    fn drop(&mut self) {
        if !self.has_ended() && self.kill().is_err() {
            eprintln!("{} could not be killed", self.name);
        }
        if thread::panicking() {
            eprintln!("--- end of the log of {} ---\n{}\n---", self.name, self.log_tail());
        }
    }
}
