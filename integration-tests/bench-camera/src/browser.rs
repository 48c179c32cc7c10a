//! Chromium with the page that measures: the page comes from here, does what its address says, and posts back what it has measured.

use anyhow::{Context as _, Result, bail};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    routing,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc};

const PAGE: &str = include_str!("../page/bench.html");
const SCRIPT: &str = include_str!("../page/bench.js");
/// The reader of the viewer page itself.
const TIME_CODE: &str = include_str!("../../../services/camera-relay/src/http/page/timecode.js");

/// A browser to start anew for every experiment: none profits from what another one has left.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) program: PathBuf,
    pub(crate) addresses: Addresses,
}

/// Whether a page's connections tell the addresses of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// As for every page that may not use a camera: names of multicast DNS stand for them.
    Hidden,
    /// For aiortc, which looks those names up in vain where there is no multicast.
    Told,
}

/// What a page is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) experiment: Experiment,
    /// Address of the server.
    pub(crate) url: &'a str,
    pub(crate) camera: &'a str,
    pub(crate) door: Door,
}

/// Measurements of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Experiment {
    /// Joins until the newest picture is shown, and a little longer; `group` is the time between key frames.
    Start { joins: usize, group: Duration },
    /// Joins until anything is shown.
    First { joins: usize },
    /// One join, watched so long.
    Delay { time: Duration },
}

/// Way into a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Whep,
    /// That of aiortc's example, whose pictures have no time code.
    Aiortc,
}

/// What the page has measured.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Measured {
    /// The first join, which pays for what a page does once; not among the others.
    pub(crate) warm: Option<Join>,
    #[serde(default)]
    pub(crate) joins: Vec<Join>,
    error: Option<String>,
}

/// One join; times in milliseconds since its POST.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Join {
    pub(crate) connected: Option<f64>,
    pub(crate) first: Option<f64>,
    /// The first picture that was drawn 100 ms ago at most; none within 15 s.
    pub(crate) newest: Option<f64>,
    /// Pictures whose time code could not be read.
    pub(crate) unreadable: u64,
    pub(crate) pictures: Vec<Picture>,
    pub(crate) statistics: Option<Statistics>,
}

/// A presented picture.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Picture {
    pub(crate) at: f64,
    /// Milliseconds since it was drawn.
    pub(crate) lag: Option<f64>,
}

/// What the browser counts itself.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Statistics {
    pub(crate) freeze_count: u64,
    pub(crate) packets_lost: i64,
    pub(crate) retransmitted_packets_received: u64,
    pub(crate) pli_count: u64,
    pub(crate) frames_dropped: u64,
}

impl Experiment {
    fn query(self) -> String {
        match self {
            Self::Start { joins, group } => {
                format!("experiment=start&joins={joins}&group={}", group.as_millis())
            }
            // Any group will do: what is shown first is a key frame.
            Self::First { joins } => format!("experiment=first&joins={joins}&group=2000"),
            Self::Delay { time } => format!("experiment=delay&time={}", time.as_millis()),
        }
    }

    /// Beyond it the page is stuck: every join has its own limit of 15 s.
    fn limit(self) -> Duration {
        let joins = match self {
            Self::Start { joins, .. } | Self::First { joins } => joins,
            Self::Delay { .. } => 1,
        };
        Duration::from_secs(40) + Duration::from_secs(20) * u32::try_from(joins).unwrap_or(u32::MAX / 40)
    }
}

impl Plan<'_> {
    fn query(&self) -> String {
        let door = match self.door {
            Door::Whep => "door=whep",
            Door::Aiortc => "door=aiortc&code=none",
        };
        format!("{}&{door}&url={}&camera={}", self.experiment.query(), self.url, self.camera)
    }
}

impl Browser {
    /// Runs an experiment in a new browser, which is ended afterwards.
    pub(crate) async fn run(&self, plan: &Plan<'_>) -> Result<Measured> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let page = format!("http://{}/?{}", listener.local_addr()?, plan.query());
        // One page posts one result; a second one would be refused.
        let (results, mut result) = mpsc::channel(1);
        let folder = tempfile::tempdir()?;
        let mut running = Running::start(self, folder.path(), &page)?;
        let text = tokio::select! {
            served = axum::serve(listener, doors(results)).into_future() => bail!("the page's server has ended: {served:?}"),
            text = result.recv() => text.context("the page's server has ended")?,
            ended = running.ended() => bail!("the browser has ended ({ended}):\n{}", log(folder.path())),
            () = tokio::time::sleep(plan.experiment.limit()) => bail!("the page has not answered:\n{}", log(folder.path())),
        };
        drop(running);
        let measured: Measured = serde_json::from_str(&text).context("the page posted something else")?;
        match measured.error {
            Some(error) => bail!("the page failed: {error}"),
            None => Ok(measured),
        }
    }
}

fn doors(results: mpsc::Sender<String>) -> Router {
    let script = |text: &'static str| {
        routing::get(move || std::future::ready(([(header::CONTENT_TYPE, "text/javascript")], text)))
    };
    Router::new()
        .route("/", routing::get(|| std::future::ready(([(header::CONTENT_TYPE, "text/html")], PAGE))))
        .route("/bench.js", script(SCRIPT))
        .route("/timecode.js", script(TIME_CODE))
        .route("/result", routing::post(take))
        .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
        .with_state(results)
}

async fn take(State(results): State<mpsc::Sender<String>>, text: String) -> StatusCode {
    std::future::ready(results.try_send(text).map_or(StatusCode::CONFLICT, |()| StatusCode::NO_CONTENT)).await
}

/// The end of what the browser said.
fn log(folder: &Path) -> String {
    let text = fs::read(folder.join("browser.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().collect::<Vec<_>>();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

/// A browser that runs until it is dropped.
struct Running {
    child: Child,
}

impl Running {
    fn start(browser: &Browser, folder: &Path, page: &str) -> Result<Self> {
        let log = File::create(folder.join("browser.log"))?;
        let told =
            (browser.addresses == Addresses::Told).then_some("--disable-features=WebRtcHideLocalIpsWithMdns");
        let child = Command::new(&browser.program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
            ])
            .arg("--autoplay-policy=no-user-gesture-required")
            .args(told)
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(page)
            // With a group of its own, so that its helpers end with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!("cannot start {}; `--browser PATH` names another Chromium", browser.program.display())
            })?;
        Ok(Self { child })
    }

    async fn ended(&mut self) -> String {
        loop {
            match self.child.try_wait() {
                Ok(None) => tokio::time::sleep(Duration::from_millis(100)).await,
                Ok(Some(status)) => return status.to_string(),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let (Ok(()) | Err(_)) = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.wait());
    }
}
