//! ONVIF devices to ask: one that checks logins as cameras do and goes wrong as it is told ([`OnvifDevice::start`]), and the virtual camera of others, `ipycam` ([`OnvifDevice::foreign`]).
//! Both are small Python programs, which need Python 3.9.

use crate::{
    process::{Launch, Process},
    wait::wait_for,
};
use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Time that it has to start.
const START: Duration = Duration::from_secs(20);

/// A device. Dropped, it is killed.
pub struct OnvifDevice {
    process: Process,
    address: SocketAddr,
}

impl OnvifDevice {
    /// Starts one with options of `device.py`, such as `["--auth", "wsse", "--password", "x"]`; its log goes to the folder.
    pub async fn start(folder: &Path, options: &[&str]) -> Result<Self> {
        Self::run(PathBuf::from("python3"), include_str!("device.py"), folder, options).await
    }

    /// Starts `ipycam`'s with options of `foreign.py`, by a Python that has it.
    pub async fn foreign(python: PathBuf, folder: &Path, options: &[&str]) -> Result<Self> {
        Self::run(python, include_str!("foreign.py"), folder, options).await
    }

    async fn run(python: PathBuf, program: &str, folder: &Path, options: &[&str]) -> Result<Self> {
        // Each start has a log of its own, since the port is read from it. A script is not called as a package that it loads.
        let name = format!("onvif-{}", crate::ports::free_address().port());
        let script = folder.join(format!("{name}.py"));
        std::fs::write(&script, program)?;
        let launch = Launch::program(python, &name, folder).arg(script);
        let process = options.iter().fold(launch, |launch, option| launch.arg(*option)).start()?;
        let port = async || {
            let log = process.log();
            log.lines().find_map(|line| line.strip_prefix("READY ")?.trim().parse::<u16>().ok())
        };
        let (port, _) =
            wait_for("the ONVIF device is ready", START, port).await.with_context(|| process.log())?;
        Ok(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The questions that it was asked so far and how their logins went, such as `GetProfiles refused`.
    pub fn asked(&self) -> Vec<String> {
        self.process.log().lines().filter_map(|line| line.strip_prefix("ASKED ").map(str::to_owned)).collect()
    }
}
