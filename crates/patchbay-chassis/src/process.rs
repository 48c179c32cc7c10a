//! A running process: services that share one backplane, one authenticator, one port for operators and one end.

use crate::{
    VERSION,
    client::Connector,
    clock::{Clock, Ids},
    grpc,
    lifecycle::{LAST_WORDS, Signals, Stop},
    listen,
    metrics::Metrics,
    nodes::{self, Hooks, Node},
    ops::{self, Ops},
    readiness::{Component, Readiness},
    service::{Context, Mode, Running, Shutdown, StartError},
    suite::{Prepared, Settings},
    tasks::{Failure, Tasks, failures},
    telemetry::LogControl,
};
use patchbay_auth::{AuthConfig, Authenticator, Jwks, ServiceTokens};
use patchbay_backplane::{Health, SharedBackplane};
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Time for the first word to the node registry; a backplane that is away must not keep a service from starting.
const FIRST_BEAT: Duration = Duration::from_secs(2);

/// Why a process ended other than by being asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A service did not start.
    #[error("could not start {service}")]
    Start {
        /// Which.
        service: &'static str,
        /// Why.
        #[source]
        source: StartError,
    },
    /// A task without which the process cannot go on has ended.
    #[error("{0}")]
    Task(String),
    /// Signals cannot be had.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
}

/// Where a service listens.
#[derive(Clone, Debug)]
pub struct Address {
    /// The service, or the program for the port for operators.
    pub service: &'static str,
    /// What it is, such as `grpc`, `ops` or `websocket`.
    pub name: &'static str,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What a person on this machine would open.
    pub url: String,
}

/// A process whose services have started.
pub struct Process {
    common: Common,
    addresses: Vec<Address>,
    stop: Stop,
    failures: mpsc::Receiver<Failure>,
    last: Last,
}

/// What all services of a process share.
struct Common {
    mode: Mode,
    clock: Clock,
    ids: Ids,
    backplane: SharedBackplane,
    auth: Arc<Authenticator>,
    metrics: Metrics,
    data_dir: Option<PathBuf>,
    failures: mpsc::Sender<Failure>,
}

/// What outlives the services: the backplane and the port for operators.
#[derive(Clone, Default)]
struct Last {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Process {
    /// Starts everything that the settings name; what was started is stopped again when something fails. The log is
    /// the caller's business: see [`crate::cli`] for one that is not a test.
    pub async fn start(settings: Settings) -> Result<Self, RunError> {
        Self::start_with(settings, LogControl::default()).await
    }

    pub(crate) async fn start_with(mut settings: Settings, log: LogControl) -> Result<Self, RunError> {
        let services = std::mem::take(&mut settings.services);
        let program = settings.name;
        let identified = identify(services, &settings.shared.auth);
        let start_failed = |source| RunError::Start { service: program, source };
        let (services, own_keys) = identified.map_err(start_failed)?;
        let names = services.iter().map(|(service, _)| service.name).collect();
        let mut process = Self::prepare(settings, log, own_keys, names).await.map_err(start_failed)?;
        for (service, tokens) in services {
            let name = service.name;
            if let Err(source) = process.start_service(service, tokens).await {
                process.finish().await;
                return Err(RunError::Start { service: name, source });
            }
        }
        process.stop.process_component().ready();
        tracing::info!(version = VERSION, "started");
        Ok(process)
    }

    /// Where everything listens.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Serves until SIGTERM or SIGINT, and stops in order; a second signal stops at once.
    pub async fn run(mut self) -> Result<(), RunError> {
        let mut signals = Signals::listen().map_err(RunError::Signals)?;
        // Cancel-safe: both only receive.
        let failure = tokio::select! {
            () = signals.next() => None,
            failure = self.failures.recv() => failure,
        };
        if failure.is_none() {
            // A drain that is dropped half-way leaves nothing behind that `finish` does not stop.
            tokio::select! {
                () = self.stop.drain() => {}
                () = signals.next() => tracing::warn!("second signal: stopping at once"),
            }
        }
        self.finish().await;
        failure.map_or(Ok(()), |failure| Err(RunError::Task(failure.to_string())))
    }

    /// Stops in order, as after SIGTERM; for tests in process.
    pub async fn stop(mut self) {
        self.stop.drain().await;
        self.finish().await;
    }

    async fn finish(self) {
        self.stop.finish().await;
        self.last.token.cancel();
        self.last.tracker.close();
        if tokio::time::timeout(LAST_WORDS, self.last.tracker.wait()).await.is_err() {
            tracing::warn!("the backplane did not stop in time");
        }
        tracing::info!("stopped");
    }

    /// Everything but the services: identity, backplane, and the port for operators, which answers 503 from now on.
    async fn prepare(
        settings: Settings,
        log: LogControl,
        own_keys: Jwks,
        services: Vec<&'static str>,
    ) -> Result<Self, StartError> {
        let Settings { name, mode, shared, shown, .. } = settings;
        let listener = listen::bind("ops", shared.ops.listen).await?;
        make_folder(shared.data.dir.as_ref())?;
        let last = Last::default();
        let (clock, ids, metrics) = (Clock::system(), Ids::random(), Metrics::new());
        let seconds = clock.clone();
        let seconds = Arc::new(move || seconds.now_millis() / 1000);
        let auth = Authenticator::with_keys(&shared.auth, own_keys, seconds)
            .map(Arc::new)
            .map_err(|error| StartError::failed("read the keys that sign tokens", error))?;
        let backplane =
            patchbay_backplane::connect(shared.backplane, last.tracker.clone(), last.token.clone())
                .await
                .map_err(|error| StartError::failed("set up the backplane", error))?;
        metrics.watch_backplane(Arc::clone(&backplane));
        let (failed, failures) = failures();
        let readiness = Readiness::new(name);
        let mut process = Self {
            addresses: Vec::new(),
            stop: Stop {
                readiness: readiness.clone(),
                drain: shared.drain,
                shutdown: Shutdown::new(),
                hooks: Vec::new(),
                nodes: Vec::new(),
                tracker: TaskTracker::new(),
            },
            common: Common {
                mode,
                clock,
                ids,
                backplane: Arc::clone(&backplane),
                auth: Arc::clone(&auth),
                metrics: metrics.clone(),
                data_dir: shared.data.dir,
                failures: failed.clone(),
            },
            failures,
            last: last.clone(),
        };
        // The component is there before anybody can ask.
        process.stop.process_component();
        let tasks = Tasks::new(name, last.tracker, last.token.clone(), failed);
        let component = readiness.component("backplane");
        watch_backplane(&backplane, component, &auth, &tasks, &last.token).await;
        process.listens(name, "ops", "http", &listener)?;
        let ops = Ops { name, services, readiness, metrics, auth, log, configuration: shown };
        tasks.spawn_critical("ops", ops::serve(listener, ops, last.token));
        Ok(process)
    }

    async fn start_service(&mut self, service: Prepared, tokens: ServiceTokens) -> Result<(), StartError> {
        let listener = listen::bind("grpc", service.grpc.listen).await?;
        let grpc =
            listener.local_addr().map_err(|error| StartError::failed("read a bound address", error))?;
        let context = self.context(service.name, tokens, grpc);
        let component = context.readiness.component("service");
        let node = Arc::new(node(&context));
        // Before the service starts, so that what it writes belongs to a node that is known.
        if !matches!(tokio::time::timeout(FIRST_BEAT, node.beat()).await, Ok(Ok(_))) {
            tracing::warn!(service = service.name, "the node registry does not answer");
        }
        self.stop.nodes.push(Arc::clone(&node));
        let running = (service.start)(context.clone()).await?;
        self.take(running, listener, &context, &node)?;
        let hard = self.stop.shutdown.hard();
        context.tasks.spawn_critical("heartbeat", Arc::clone(&node).run(hard.clone()));
        context.tasks.spawn_critical("reaper", node.reap(hard));
        component.ready();
        Ok(())
    }

    /// Takes over what a service has handed back.
    fn take(
        &mut self,
        running: Running,
        grpc_listener: TcpListener,
        context: &Context,
        node: &Node,
    ) -> Result<(), StartError> {
        let service = context.service;
        for listening in running.listeners {
            let crate::Listening { name, address, url } = listening;
            self.addresses.push(Address { service, name, address, url });
        }
        if let Some(services) = running.grpc {
            self.listens(service, "grpc", "http", &grpc_listener)?;
            grpc::spawn(grpc_listener, services, context)?;
        }
        self.stop.hooks.extend(running.drain);
        let hooks = Hooks { figures: running.figures, on_reaped: running.on_reaped };
        // Set once: each service starts once.
        drop(node.hooks.set(hooks));
        Ok(())
    }

    fn context(&self, service: &'static str, tokens: ServiceTokens, grpc: SocketAddr) -> Context {
        let Common { mode, clock, ids, backplane, auth, metrics, data_dir, failures } = &self.common;
        let shutdown = self.stop.shutdown.clone();
        Context {
            service,
            version: VERSION,
            node: nodes::new_id(service, ids),
            grpc,
            mode: *mode,
            clock: clock.clone(),
            ids: ids.clone(),
            backplane: Arc::clone(backplane),
            auth: Arc::clone(auth),
            tasks: Tasks::new(service, self.stop.tracker.clone(), shutdown.soft(), failures.clone()),
            connector: Connector { tokens, stop: shutdown.hard() },
            shutdown,
            metrics: metrics.of(service),
            readiness: self.stop.readiness.of(service),
            data_dir: data_dir.clone(),
            fresh: Arc::new(Notify::new()),
        }
    }

    fn listens(
        &mut self,
        service: &'static str,
        name: &'static str,
        scheme: &str,
        listener: &TcpListener,
    ) -> Result<(), StartError> {
        let address =
            listener.local_addr().map_err(|error| StartError::failed("read a bound address", error))?;
        let url = format!("{scheme}://{}", listen::reachable(address));
        self.addresses.push(Address { service, name, address, url });
        Ok(())
    }
}

fn node(context: &Context) -> Node {
    Node {
        id: context.node.clone(),
        service: context.service,
        started_at: context.clock.now_millis(),
        backplane: Arc::clone(&context.backplane),
        readiness: context.readiness.clone(),
        fresh: Arc::clone(&context.fresh),
        hooks: OnceLock::new(),
    }
}

type Identified = Vec<(Prepared, ServiceTokens)>;

/// Gives each service its key: the configured one, or one made in memory that only this process believes.
fn identify(services: Vec<Prepared>, auth: &AuthConfig) -> Result<(Identified, Jwks), StartError> {
    let mut own_keys = Jwks::default();
    let mut identified = Vec::with_capacity(services.len());
    for service in services {
        let identity = ServiceTokens::open(service.name, service.calls, auth.service_key_file.as_deref());
        let (tokens, key) =
            identity.map_err(|error| StartError::failed("get the service's identity", error))?;
        own_keys.merge(key);
        identified.push((service, tokens));
    }
    Ok((identified, own_keys))
}

fn make_folder(folder: Option<&PathBuf>) -> Result<(), StartError> {
    let Some(folder) = folder else { return Ok(()) };
    let made = std::fs::create_dir_all(folder);
    made.map_err(|error| StartError::failed(format!("make the data folder {}", folder.display()), error))
}

/// Spawns what follows the backplane: whether it answers, and what it tells of keys and revocations.
async fn watch_backplane(
    backplane: &SharedBackplane,
    component: Component,
    auth: &Arc<Authenticator>,
    tasks: &Tasks,
    stop: &CancellationToken,
) {
    let reporting = report_backplane(backplane.health(), component);
    let until = stop.clone();
    tasks.spawn("backplane-health", async move {
        until.run_until_cancelled(reporting).await;
    });
    let following = patchbay_auth::follow(Arc::clone(auth), Arc::clone(backplane)).await;
    let until = stop.clone();
    tasks.spawn("identity", async move {
        until.run_until_cancelled(following).await;
    });
}

/// Tells readiness when the backplane is away: degraded, because a pause of Redis must not take every replica out.
async fn report_backplane(mut health: watch::Receiver<Health>, component: Component) {
    loop {
        match health.borrow_and_update().clone() {
            Health::Up => component.ready(),
            Health::Down(reason) => component.degraded(reason),
        }
        if health.changed().await.is_err() {
            return;
        }
    }
}
