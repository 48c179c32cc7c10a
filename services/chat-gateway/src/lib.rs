//! chat-gateway: rooms with history, presence and recovery over WebSocket, and an API for backends over gRPC.
//!
//! `protocol` is the wire without I/O; `room` decides who hears what; `connection` is one client; `grpc` is the backend's
//! side. This file puts them together.

pub mod config;
pub mod connection;
pub mod control;
mod drain;
pub mod gateway;
mod grpc;
pub mod guests;
pub mod limits;
mod listener;
pub mod metrics;
pub mod protocol;
mod revocation;
pub mod room;
mod sweeper;
mod tls;

use config::ChatConfig;
use gateway::Gateway;
use patchbay_chassis::{Context, GrpcServices, Listening, Running, Service, StartError, listen};
use patchbay_tls::Acceptor;
use room::Rooms;
use std::{collections::BTreeMap, sync::Arc};

/// The service.
pub struct ChatGateway;

impl Service for ChatGateway {
    const NAME: &'static str = "chat-gateway";
    const GRPC_PORT: u16 = 9101;
    const OPS_PORT: u16 = 9201;
    type Config = ChatConfig;

    async fn start(config: ChatConfig, context: Context) -> Result<Running, StartError> {
        let socket = listen::bind("http", config.listen.http).await?;
        let address =
            socket.local_addr().map_err(|source| StartError::failed("could not tell the address", source))?;
        let shards = match config.fanout.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let tls = Acceptor::open(&config.listen.tls, "http", tls::PROTOCOLS, &context)
            .map_err(|error| StartError::failed("use the certificate of listen.tls", error))?;
        let (rooms, mailboxes) = Rooms::new(shards);
        let gateway = Arc::new(Gateway::new(config, context, rooms));
        Rooms::start(&gateway, mailboxes);
        let tasks = &gateway.context.tasks;
        tasks.spawn_critical("accept", listener::accept(gateway.clone(), socket, tls.clone()));
        tasks.spawn_critical("sweep", sweeper::sweep(gateway.clone()));
        tasks.spawn_critical("revocations", revocation::enforce(gateway.clone()));
        tasks.spawn_critical("control", control::obey(gateway.clone()));
        let (scheme, reachable) = (patchbay_tls::websocket_scheme(tls.as_ref()), listen::reachable(address));
        let native = Listening { name: "chat", address, url: format!("{scheme}://{reachable}/ws") };
        let classic = gateway.classic_room.is_some();
        let classic =
            classic.then(|| Listening { name: "classic", address, url: format!("{scheme}://{reachable}/") });
        Ok(Running {
            listeners: [Some(native), classic].into_iter().flatten().collect(),
            grpc: Some(GrpcServices {
                routes: tonic::service::Routes::new(grpc::server(gateway.clone())),
                methods: grpc::methods(),
                descriptors: patchbay_proto::DESCRIPTOR_SET,
            }),
            drain: Some({
                let gateway = gateway.clone();
                Box::new(move |plan| Box::pin(drain::drain(gateway, plan)))
            }),
            figures: Some({
                let gateway = gateway.clone();
                Arc::new(move || {
                    figures(&gateway).into_iter().chain(patchbay_tls::figure(tls.as_ref())).collect()
                })
            }),
            on_reaped: Some(Arc::new(move |left| {
                Box::pin(room::presence::announce_reaped(gateway.clone(), left))
            })),
        })
    }
}

/// Figures for the node registry; names are those of the metrics.
fn figures(gateway: &Gateway) -> BTreeMap<String, f64> {
    let metrics = &gateway.metrics;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let counted = |name: &str, value: u64| (name.to_owned(), value as f64);
    [
        counted("connections", gateway.connections.open() as u64),
        counted("rooms", u64::try_from(metrics.rooms.get()).unwrap_or(0)),
        counted("publications_total", metrics.published.get()),
        counted("deliveries_total", metrics.delivered.get()),
    ]
    .into()
}
