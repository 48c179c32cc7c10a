//! The web console: its pages, the way from them to the services on one origin, and the overview of what runs.
//!
//! It holds no state but what it last saw of the node registry. It does not know the protocols it passes on: chat
//! frames and gRPC messages go through as bytes.

mod assets;
mod config;
mod events;
mod metrics;
mod overview;
mod proxy;
mod server;

pub use config::{ConsoleConfig, Http, Limits, Upstream, Upstreams};

use events::EventsService;
use metrics::ConsoleMetrics;
use overview::OverviewService;
use patchbay_chassis::{Context, DrainHook, GrpcServices, Listening, Running, Service, StartError, listen};
use patchbay_proto::console::v1::{events_server::EventsServer, overview_server::OverviewServer};
use patchbay_tls::Acceptor;
use proxy::Proxy;
use server::App;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// The service.
pub struct Console;

impl Service for Console {
    const NAME: &'static str = "console";
    const GRPC_PORT: u16 = 9100;
    const OPS_PORT: u16 = 9200;

    type Config = ConsoleConfig;

    async fn start(config: ConsoleConfig, context: Context) -> Result<Running, StartError> {
        let listener = listen::bind("http", config.http.listen).await?;
        let address = listener.local_addr().map_err(|source| StartError::Bind {
            name: "http",
            address: config.http.listen,
            source,
        })?;
        let metrics = ConsoleMetrics::register(&context.metrics);
        let proxy = Proxy::new(&config, &context, metrics.clone())
            .map_err(|error| StartError::failed("trust the upstreams", error))?;
        let app = Arc::new(App { proxy: proxy.clone(), metrics: metrics.clone() });
        let limits = patchbay_http::Limits {
            connections: config.limits.connections,
            patience: config.limits.head_timeout.duration(),
        };
        let (open, serving) = (metrics.connections.clone(), TaskTracker::new());
        let tls = Acceptor::open(&config.http.tls, "http", patchbay_http::PROTOCOLS, &context)
            .map_err(|error| StartError::failed("use the certificate of http.tls", error))?;
        let server = patchbay_http::Server {
            listener,
            tls: tls.clone(),
            limits,
            open,
            serving: serving.clone(),
            context: context.clone(),
        };
        let answer = move |request| {
            let app = Arc::clone(&app);
            async move { app.answer(request).await }
        };
        context.tasks.spawn_critical("http", server.run(answer));
        Ok(Running {
            listeners: vec![Listening {
                name: "http",
                address,
                url: format!("{}://{}", patchbay_tls::scheme(tls.as_ref()), listen::reachable(address)),
            }],
            grpc: Some(grpc(&context)),
            drain: Some(drain(proxy, serving)),
            figures: Some(Arc::new(move || {
                let certificate = patchbay_tls::figure(tls.as_ref());
                metrics.figures().into_iter().chain(certificate).collect()
            })),
            on_reaped: None,
        })
    }
}

fn grpc(context: &Context) -> GrpcServices {
    let overview = OverviewService::new(context.backplane.clone(), context.clock.clone());
    let events = EventsService::new(context.backplane.clone());
    let routes = tonic::service::Routes::new(OverviewServer::new(overview));
    GrpcServices {
        routes: routes.add_service(EventsServer::new(events)),
        methods: events::with_methods(overview::methods()),
        descriptors: patchbay_proto::DESCRIPTOR_SET,
    }
}

/// Tunnelled connections end by themselves when the gateway behind them drains too; what is left after the spread
/// is cut, and its clients come back elsewhere. Requests under way have as long, because some never end: calls that watch.
fn drain(proxy: Proxy, serving: TaskTracker) -> DrainHook {
    Box::new(move |plan| {
        Box::pin(async move {
            serving.close();
            let requests = tokio::time::timeout(plan.spread, serving.wait());
            let ((), finished) = tokio::join!(proxy.close_tunnels(plan.spread), requests);
            if finished.is_err() {
                tracing::info!(connections = serving.len(), "cutting what is left of the connections");
            }
        })
    })
}
