//! Two replicas on ports of their own, and what tests say to them.

use anyhow::{Context as _, Result};
use camera_relay::{CameraRelay, caller::Caller, config::RelayConfig, core::Core};
use parking_lot::Mutex;
use patchbay_chassis::{Context, Mode, Options, Process, Running, Service, StartError, Suite, config::Layer};
use patchbay_proto::camera::v1::{self as pb, cameras_client::CamerasClient};
use patchbay_testkit::{keys::Keys, ports::free_address};
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt;

/// Longest wait for what should take far less than a second.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What the parts of each replica share, by the address of its HTTP port.
static CORES: Mutex<Option<HashMap<SocketAddr, Arc<Core>>>> = Mutex::new(None);

/// A replica whose insides a test gets at.
struct One;

/// A second one, under a name of its own because a process has each service once.
struct Other;

async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
    let (running, core) = camera_relay::start(config, context).await?;
    let address = running.listeners.first().map(|listening| listening.address).expect("it listens");
    CORES.lock().get_or_insert_default().insert(address, core);
    Ok(running)
}

impl Service for One {
    const NAME: &'static str = CameraRelay::NAME;
    const GRPC_PORT: u16 = CameraRelay::GRPC_PORT;
    const OPS_PORT: u16 = CameraRelay::OPS_PORT;
    const CALLS: &'static [&'static str] = CameraRelay::CALLS;
    type Config = RelayConfig;

    async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
        start(config, context).await
    }
}

impl Service for Other {
    const NAME: &'static str = "replica";
    const GRPC_PORT: u16 = 9190;
    const OPS_PORT: u16 = 9290;
    const CALLS: &'static [&'static str] = CameraRelay::CALLS;
    type Config = RelayConfig;

    async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
        start(config, context).await
    }
}

/// One replica: its client, its port and its insides.
pub(crate) struct Replica {
    pub(crate) client: CamerasClient<Channel>,
    pub(crate) http: SocketAddr,
    pub(crate) core: Arc<Core>,
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) process: Process,
    pub(crate) keys: Keys,
    pub(crate) one: Replica,
    pub(crate) other: Replica,
}

/// What a test may change before the start.
pub(crate) type Change<'a> = &'a dyn Fn(&str, Layer) -> Layer;

impl World {
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &|_, flags| flags).await
    }

    /// `change` is called for each replica with its name.
    pub(crate) async fn start_with(folder: &Path, change: Change<'_>) -> Result<Self> {
        let keys = Keys::create(folder)?;
        let flags = Layer::new("test")
            .set("ops.listen", "127.0.0.1:0")
            .set("drain.delay", "0s")
            .set("drain.spread", "0s")
            .set("backplane.file", folder.join("backplane.redb").display().to_string())
            .set("auth.jwks_file", keys.jwks().display().to_string());
        let (https, grpcs) = ([free_address(), free_address()], [free_address(), free_address()]);
        let names = [One::NAME, Other::NAME];
        let flags =
            names.into_iter().zip(https.into_iter().zip(grpcs)).fold(flags, |flags, (name, (http, grpc))| {
                let flags = flags
                    .set(&format!("{name}.listen.http"), http.to_string())
                    .set(&format!("{name}.grpc.listen"), grpc.to_string())
                    .set(&format!("{name}.media.udp"), "127.0.0.1:0")
                    .set(&format!("{name}.media.tcp"), "127.0.0.1:0");
                change(name, flags)
            });
        let suite = Suite::all_in_one("world", 9299).with::<One>().with::<Other>();
        let process = Process::start(suite.load(&options(flags))?).await?;
        let [one, other] = [0, 1].map(|index| replica(https[index], grpcs[index]));
        Ok(Self { process, keys, one: one?, other: other? })
    }

    /// A token with scopes.
    pub(crate) fn token(&self, scopes: &[&str]) -> Result<String> {
        self.keys.token("ada", scopes)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        drop((self.one, self.other));
        self.process.stop().await;
        Ok(())
    }
}

/// How a test's process is set up.
fn options(flags: Layer) -> Options {
    Options {
        file: None,
        mode: Mode::Development,
        services: None,
        presets: Vec::new(),
        flags,
        environment: Vec::new(),
    }
}

/// Reads a configuration; an error is what the operator is told.
pub(crate) fn load(file: Option<PathBuf>, flags: Layer) -> Result<(), String> {
    let options = Options { file, ..options(flags) };
    let suite = Suite::all_in_one("world", 9299).with::<One>();
    suite.load(&options).map(drop).map_err(|error| error.to_string())
}

fn replica(http: SocketAddr, grpc: SocketAddr) -> Result<Replica> {
    let core = CORES.lock().get_or_insert_default().remove(&http).context("it has started")?;
    let channel = Channel::from_shared(format!("http://{grpc}"))?.connect_lazy();
    Ok(Replica { client: CamerasClient::new(channel), http, core })
}

/// A request with a token.
pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token has plain characters");
    request.metadata_mut().insert("authorization", value);
    request
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("it must be refused");
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// Fields that a refusal names.
pub(crate) fn fields<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let details = answer.expect_err("it must be refused").get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// A test camera of a name.
pub(crate) fn test_camera(name: &str) -> pb::Camera {
    let test = pb::TestSource { width: 320, height: 240, fps: 15, silent: true, ..pb::TestSource::default() };
    pb::Camera { name: name.into(), source: Some(pb::camera::Source::Test(test)), ..pb::Camera::default() }
}

/// A file camera of a name.
pub(crate) fn file_camera(name: &str, path: &str) -> pb::Camera {
    let file = pb::FileSource { path: path.into() };
    pb::Camera { name: name.into(), source: Some(pb::camera::Source::File(file)), ..pb::Camera::default() }
}

/// Adds a camera.
pub(crate) async fn add(
    replica: &mut Replica,
    token: &str,
    camera: pb::Camera,
) -> Result<pb::Camera, Status> {
    let added = replica.client.add_camera(with(token, pb::AddCameraRequest { camera: Some(camera) })).await?;
    Ok(added.into_inner().camera.unwrap_or_default())
}

/// Names of the cameras that are shown.
pub(crate) async fn names(replica: &mut Replica, token: &str) -> Result<Vec<String>, Status> {
    let listed = replica.client.list_cameras(with(token, pb::ListCamerasRequest::default())).await?;
    Ok(listed.into_inner().cameras.into_iter().map(|camera| camera.name).collect())
}

/// Reads a camera.
pub(crate) async fn get(replica: &mut Replica, token: &str, name: &str) -> Result<pb::Camera, Status> {
    let request = with(token, pb::GetCameraRequest { name: name.into() });
    Ok(replica.client.get_camera(request).await?.into_inner().camera.unwrap_or_default())
}

/// Somebody who may do everything, as doors know him.
pub(crate) fn somebody(world: &World) -> Result<Caller> {
    let token = world.token(&["admin"])?;
    let identity = world.one.core.context.auth.verify(&token)?;
    Ok(Caller::from(identity))
}
