//! What a service gives to the frame and what it gets from it.
//!
//! Called by: every service crate. Nothing here runs anything; see `process` for that.

use crate::{
    client::{Client, Connector, TargetError},
    clock::{Clock, Ids},
    config::ServiceConfig,
    metrics::Metrics,
    readiness::Readiness,
    tasks::Tasks,
};
use futures_util::future::BoxFuture;
use patchbay_auth::{Authenticator, MethodScopes};
use patchbay_backplane::{Member, Name, NodeId, SharedBackplane};
use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A service of the suite.
pub trait Service: Send + Sized + 'static {
    /// Name of folder, crate, binary, compose service, DNS name and telemetry's `service.name`.
    const NAME: &'static str;

    /// Port of its gRPC server where none is configured.
    const GRPC_PORT: u16;

    /// Port for operators where none is configured.
    const OPS_PORT: u16;

    /// Scopes that it needs when it calls other services as itself.
    const CALLS: &'static [&'static str] = &[];

    /// Its own configuration sections, beside the shared ones.
    type Config: ServiceConfig;

    /// Binds its listeners, spawns its tasks and returns; it is ready once this has returned and all components
    /// that it made in [`Context::readiness`] say so.
    fn start(
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Running, StartError>> + Send;
}

/// Everything a service may use of its process. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Name of the service.
    pub service: &'static str,
    /// Version of the suite.
    pub version: &'static str,
    /// This replica.
    pub node: NodeId,
    /// Where its gRPC server is bound.
    pub grpc: SocketAddr,
    /// Whether it runs with `--dev`.
    pub mode: Mode,
    /// The time.
    pub clock: Clock,
    /// Random numbers and ids.
    pub ids: Ids,
    /// What replicas share.
    pub backplane: SharedBackplane,
    /// Verifies tokens.
    pub auth: Arc<Authenticator>,
    /// Spawns tasks.
    pub tasks: Tasks,
    /// Tells when to stop.
    pub shutdown: Shutdown,
    /// Registers metrics.
    pub metrics: Metrics,
    /// Tells whether this replica should get clients.
    pub readiness: Readiness,
    /// Where files may be kept; `None` when the process keeps none.
    pub data_dir: Option<PathBuf>,
    /// Notified when this replica must write again what it keeps on the backplane, because the node registry
    /// forgot it. A notification is kept for one waiter, so one task per service waits here.
    pub fresh: Arc<Notify>,
    pub(crate) connector: Connector,
}

impl Context {
    /// A secret that all replicas of this service share, different for each label; it comes from the service's key.
    pub fn secret(&self, label: &str) -> [u8; 32] {
        self.connector.tokens.derive_secret(label)
    }

    /// A context for a part of the service that ends before the process does: its tasks may end once the part was told to.
    pub fn part(&self) -> (Self, Part) {
        let shutdown =
            Shutdown { soft: self.shutdown.soft.child_token(), hard: self.shutdown.hard.child_token() };
        let tasks = self.tasks.until(shutdown.soft());
        (Self { tasks, shutdown: shutdown.clone(), ..self.clone() }, Part { shutdown })
    }

    /// Makes a gRPC client for `http://host:port` or `dns://host:port`: calls are balanced over all addresses of the
    /// name, signed with this service's identity, traced and bounded in time. It connects lazily.
    pub fn connect(&self, name: &'static str, target: &str) -> Result<Client, TargetError> {
        self.connector.connect(name, target, &self.tasks)
    }
}

/// Ends a part of a service that was given a context of its own by [`Context::part`], also when it is dropped.
#[derive(Debug)]
pub struct Part {
    shutdown: Shutdown,
}

impl Part {
    /// Tells the part to stop. Its tasks end by themselves; what they have in their hands goes with them.
    pub fn end(&self) {
        self.shutdown.soft.cancel();
        self.shutdown.hard.cancel();
    }

    /// Fires when the part was told to stop, or the process was.
    pub fn ended(&self) -> &CancellationToken {
        &self.shutdown.hard
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.end();
    }
}

/// How strict the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is made up: keys and certificates must be configured.
    Production,
    /// `--dev`: keys are generated and guests may enter.
    Development,
}

/// When to stop. Both tokens fire once and stay fired; `hard` implies `soft`.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        let hard = CancellationToken::new();
        Self { soft: hard.child_token(), hard }
    }

    /// Stop accepting; clients that are there stay until the drain hook has told them to go.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Stop everything.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }
}

/// What a service returns once it listens.
#[derive(Default)]
pub struct Running {
    /// Where it listens, beside gRPC.
    pub listeners: Vec<Listening>,
    /// gRPC services for the chassis to serve.
    pub grpc: Option<GrpcServices>,
    /// Tells clients in their own protocol to come back elsewhere; called once, after `soft` has fired.
    pub drain: Option<DrainHook>,
    /// Figures for the node registry and the console; called at every heartbeat.
    pub figures: Option<FiguresHook>,
    /// Called with what a dead replica of the same service left, before that replica is forgotten. It may be
    /// called twice for one replica, when the caller before died in between.
    pub on_reaped: Option<ReapedHook>,
}

/// See [`Running::drain`].
pub type DrainHook = Box<dyn FnOnce(DrainPlan) -> BoxFuture<'static, ()> + Send>;

/// See [`Running::figures`].
pub type FiguresHook = Arc<dyn Fn() -> BTreeMap<String, f64> + Send + Sync>;

/// See [`Running::on_reaped`].
pub type ReapedHook = Arc<dyn Fn(Vec<(Name, Member)>) -> BoxFuture<'static, ()> + Send + Sync>;

/// A socket that takes clients.
#[derive(Clone, Debug)]
pub struct Listening {
    /// What it is, such as `websocket`.
    pub name: &'static str,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What a person on this machine would open.
    pub url: String,
}

/// gRPC services and who may call them.
pub struct GrpcServices {
    /// The services.
    pub routes: tonic::service::Routes,
    /// Scope that each method needs; a method that is not in the table is refused.
    pub methods: MethodScopes,
    /// Encoded `FileDescriptorSet` for reflection.
    pub descriptors: &'static [u8],
}

/// How long a service may take to send its clients away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// Clients are told over this time, so that they do not all return at once.
    pub spread: Duration,
    /// Time from now until everything stops hard.
    pub deadline: Duration,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error("could not listen on {address} for {name}")]
    Bind {
        /// Name of the listener.
        name: &'static str,
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("could not {action}")]
    Failed {
        /// What failed, such as `open the store`.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StartError {
    /// Says what failed and why: `StartError::failed("open the store", error)`.
    pub fn failed(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { action: action.into(), source: source.into() }
    }
}
