//! camera-relay as a real process, with clocks of its CPU time and memory.

use anyhow::{Context as _, Result, bail};
use patchbay_auth::{KeyOwner, Signer};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Time for a server to start.
const START: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub(crate) struct Relay {
    child: Child,
    pub(crate) http: SocketAddr,
    ops: SocketAddr,
}

/// Cameras of a run: name, size, bits a second, time between key frames in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Camera {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bitrate: u32,
    pub(crate) key_frames: u32,
    /// Whether it makes key frames when viewers ask.
    pub(crate) requests: Requests,
}

/// Whether a camera makes key frames when viewers ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    Obeyed,
    Ignored,
}

impl Relay {
    /// With test pictures.
    pub(crate) fn start(binary: &Path, folder: &Path, cameras: &[Camera]) -> Result<Self> {
        Self::start_with(binary, folder, &cameras.iter().map(section).collect::<String>())
    }

    /// With RTSP cameras, called by their numbers.
    pub(crate) fn start_rtsp(binary: &Path, folder: &Path, urls: &[String]) -> Result<Self> {
        let section = |(number, url): (usize, &String)| {
            format!(
                "[[cameras.configured]]\nname = \"{number}\"\nrtsp = {{ url = \"{url}\", transport = \"tcp\" }}\n"
            )
        };
        let egress = "[cameras.egress]\nallow = [\"127.0.0.0/8\"]\n".to_owned();
        let cameras: String = urls.iter().enumerate().map(section).collect();
        Self::start_with(binary, folder, &(egress + &cameras))
    }

    /// With a file of a folder, called `film`.
    pub(crate) fn start_file(binary: &Path, folder: &Path, file: &str) -> Result<Self> {
        let media = folder.display();
        let cameras = format!(
            "[cameras]\nmedia_folder = \"{media}\"\nlinger = \"500ms\"\n[[cameras.configured]]\nname = \"film\"\nalways_on = true\nfile = {{ path = \"{file}\" }}\n"
        );
        Self::start_with(binary, folder, &cameras)
    }

    fn start_with(binary: &Path, folder: &Path, cameras: &str) -> Result<Self> {
        let signer = Signer::generate(KeyOwner::Issuer)?;
        signer.jwks().write(&folder.join("jwks.json"))?;
        fs::write(folder.join("relay.toml"), CONFIGURATION.to_owned() + cameras)?;
        let (http, grpc, ops, media) = (free()?, free()?, free()?, free_media()?);
        let log = File::create(folder.join("relay.log"))?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(folder.join("relay.toml"))
            .env("PATCHBAY_LISTEN__HTTP", http.to_string())
            .env("PATCHBAY_GRPC__LISTEN", grpc.to_string())
            .env("PATCHBAY_OPS__LISTEN", ops.to_string())
            .env("PATCHBAY_MEDIA__UDP", media.to_string())
            .env("PATCHBAY_MEDIA__TCP", media.to_string())
            .env("PATCHBAY_AUTH__JWKS_FILE", folder.join("jwks.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut relay = Self { child, http, ops };
        relay.wait(folder)?;
        Ok(relay)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// CPU time of all its threads, in seconds. Threads that end meanwhile take theirs with them.
    pub(crate) fn cpu(&self) -> Result<f64> {
        cpu(self.child.id())
    }

    /// CPU time of its threads of a name, in seconds.
    pub(crate) fn cpu_of_threads(&self, name: &str) -> Result<f64> {
        cpu_of_threads(self.child.id(), name)
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> Result<f64> {
        memory(self.child.id())
    }

    /// A figure of its metrics.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let answer = patchbay_testkit::http::get(self.ops, "/metrics", &[]).await?;
        let line = answer
            .body
            .lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.with_context(|| format!("there is no metric {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    }

    fn wait(&mut self, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect_timeout(&self.http, Duration::from_secs(1)).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join("relay.log")).unwrap_or_default();
                bail!("camera-relay does not listen ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Its end is not measured, so it need not be graceful; both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// CPU time of a process, in seconds, with that of threads that have ended.
pub(crate) fn cpu(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything, come the fields from the third on.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    let ticks = |field: usize| {
        fields.get(field - 3).context("a field is missing")?.parse::<f64>().context("a field is no number")
    };
    Ok((ticks(14)? + ticks(15)?) / TICKS)
}

/// CPU time of those threads of a process that run and have this name, in seconds. Finer than ticks: a worker may use a hundredth of a core.
fn cpu_of_threads(process: u32, name: &str) -> Result<f64> {
    let mut nanos = 0.0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = task?.path();
        // A thread that has ended meanwhile has no files any more.
        let Ok(comm) = fs::read_to_string(folder.join("comm")) else { continue };
        if comm.trim_end() != name {
            continue;
        }
        let times = fs::read_to_string(folder.join("schedstat"))?;
        nanos += times.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanos / 1e9)
}

/// Ticks a second of `/proc/*/stat` on every Linux for x86 and ARM.
const TICKS: f64 = 100.0;

/// Resident memory of a process, in bytes.
pub(crate) fn memory(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

const CONFIGURATION: &str = "[log]\nlevel = \"warn\"\n[auth.guest]\nenabled = true\nscopes = [\"media:view:*\", \"media:read:*\"]\n\
    [media]\nmax_viewers_per_address = 2000\n[limits]\noffers_per_second = 1000\noffers_burst = 1000\n";

fn section(camera: &Camera) -> String {
    let Camera { name, width, height, bitrate, key_frames, requests } = camera;
    let ignored = *requests == Requests::Ignored;
    format!(
        "[[cameras.configured]]\nname = \"{name}\"\n[cameras.configured.test]\nwidth = {width}\nheight = {height}\n\
         bitrate = {bitrate}\nkey_frame_interval = \"{key_frames}s\"\nignore_key_frame_requests = {ignored}\nnoise = 24\nsilent = true\n"
    )
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A port that is free for UDP and TCP.
fn free_media() -> Result<SocketAddr> {
    for _ in 0..50 {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("there is no port that is free for UDP and TCP")
}
