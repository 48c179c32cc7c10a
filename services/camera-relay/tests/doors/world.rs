//! One replica on ports of its own, and the little HTTP that tests speak with it.

use anyhow::{Context as _, Result};
use camera_relay::{CameraRelay, config::RelayConfig, core::Core};
use parking_lot::Mutex;
use patchbay_chassis::{Context, Mode, Options, Process, Running, Service, StartError, Suite, config::Layer};
use patchbay_testkit::{http::Answer, keys::Keys, ports::free_address};
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for what should take far less than a second.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What a browser offers who wants to watch: a real one, whose connection is never opened.
pub(crate) const OFFER: &str =
    include_str!("../../../../crates/patchbay-rtc/testdata/offers/chromium_recvonly.sdp");

pub(crate) const SDP: (&str, &str) = ("content-type", "application/sdp");
pub(crate) const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

/// What the parts of each replica share, by the address of its HTTP port.
static CORES: Mutex<Option<HashMap<SocketAddr, Arc<Core>>>> = Mutex::new(None);

/// The service, whose insides tests get at.
struct Relay;

impl Service for Relay {
    const NAME: &'static str = CameraRelay::NAME;
    const GRPC_PORT: u16 = CameraRelay::GRPC_PORT;
    const OPS_PORT: u16 = CameraRelay::OPS_PORT;
    type Config = RelayConfig;

    async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
        let (running, core) = camera_relay::start(config, context).await?;
        let address = running.listeners.first().map(|listening| listening.address).expect("it listens");
        CORES.lock().get_or_insert_default().insert(address, core);
        Ok(running)
    }
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) process: Process,
    pub(crate) core: Arc<Core>,
    pub(crate) keys: Keys,
    pub(crate) http: SocketAddr,
    _folder: TempDir,
}

/// Guests may see the test camera.
pub(crate) fn with_guests(flags: Layer) -> Layer {
    flags.set("auth.guest.enabled", true).set("auth.guest.scopes", vec!["media:view:test"])
}

impl World {
    /// With guests.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(with_guests).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(Layer) -> Layer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let (http, grpc) = (free_address(), free_address());
        let name = |key: &str| format!("{}.{key}", CameraRelay::NAME);
        let flags = Layer::new("test")
            .set("ops.listen", "127.0.0.1:0")
            .set("drain.delay", "0s")
            .set("drain.spread", "0s")
            .set("auth.jwks_file", keys.jwks().display().to_string())
            .set(&name("listen.http"), http.to_string())
            .set(&name("grpc.listen"), grpc.to_string())
            .set(&name("media.udp"), "127.0.0.1:0")
            .set(&name("media.tcp"), "127.0.0.1:0");
        let options = Options {
            file: None,
            mode: Mode::Development,
            services: None,
            presets: Vec::new(),
            flags: change(flags),
            environment: Vec::new(),
        };
        let suite = Suite::all_in_one("doors", 9299).with::<Relay>();
        let process = Process::start(suite.load(&options)?).await?;
        let core = CORES.lock().get_or_insert_default().remove(&http).context("it has started")?;
        Ok(Self { process, core, keys, http, _folder: folder })
    }

    pub(crate) fn token(&self, scopes: &[&str]) -> Result<String> {
        self.keys.token("ada", scopes)
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        timeout(SOON, exchange(self.http, method, path, headers, body)).await.context("no answer in time")?
    }

    pub(crate) async fn post(&self, offer: &str) -> Result<Answer> {
        self.ask("POST", "/whep/test", &[SDP], offer).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], "").await
    }

    /// How many look, as the operators' API tells.
    pub(crate) async fn viewers(&self) -> Result<Vec<serde_json::Value>> {
        let token = format!("Bearer {}", self.token(&["admin"])?);
        let answer = self.ask("GET", "/v1/viewers", &[("authorization", &token)], "").await?;
        let body: serde_json::Value =
            serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        Ok(body.get("viewers").and_then(serde_json::Value::as_array).cloned().unwrap_or_default())
    }
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.push_str(body);
    // A server may answer, and close, before it has read everything.
    drop(stream.write_all(request.as_bytes()).await);
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
    let status =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A header of an answer.
pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    headers(answer, name).next()
}

/// All headers of that name.
pub(crate) fn headers<'a>(answer: &'a Answer, name: &str) -> impl Iterator<Item = &'a str> {
    answer
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The reason of a refusal.
pub(crate) fn reason(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    body.pointer("/error/reason").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
