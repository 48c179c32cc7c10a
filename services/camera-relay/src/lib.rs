//! camera-relay: cameras in the browser, each captured and encoded once, however many look.
//!
//! `cameras` is the list and makes sources of it for the hub of `patchbay-media`; `viewers` knows who looks here; `replicas` tells the others and asks
//! them, `relay` decides which of them captures a camera and brings its stream to the others; `grpc` is the interface, `rest` the same in JSON, `snapshot` makes single pictures,
//! `discovery` looks for cameras, `onvif` asks them for their streams, and `probe` looks at sources that are no cameras yet;
//! `motion` keeps what moved before cameras, `announce` tells the suite of that and of cameras that go and come. `http` has the doors for viewers, and `viewing` is what stands behind
//! those that speak WebRTC. This file puts them together.

mod addresses;
mod announce;
pub mod caller;
pub mod cameras;
pub mod config;
pub mod core;
mod discovery;
pub mod error;
mod grpc;
mod http;
pub mod metrics;
pub mod motion;
mod onvif;
mod probe;
pub mod relay;
pub mod replicas;
mod rest;
pub mod snapshot;
mod told;
pub mod viewers;
mod viewing;
mod xml;

use config::RelayConfig;
use core::Core;
use patchbay_chassis::{Context, GrpcServices, Listening, Running, Service, StartError, listen};
use patchbay_tls::Acceptor;
use std::sync::Arc;
use viewing::Viewings;

pub use grpc::{Door, Guests, METHODS, Method};

/// Scopes that a replica needs at the others.
pub const CALLS: &[&str] = &["media:relay:camera/*"];

/// The service.
pub struct CameraRelay;

impl Service for CameraRelay {
    const NAME: &'static str = "camera-relay";
    const GRPC_PORT: u16 = 9103;
    const OPS_PORT: u16 = 9203;
    const CALLS: &'static [&'static str] = CALLS;
    type Config = RelayConfig;

    async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
        start(config, context).await.map(|(running, _)| running)
    }
}

/// Starts a replica, and gives what its parts share besides: tests look there.
pub async fn start(config: RelayConfig, context: Context) -> Result<(Running, Arc<Core>), StartError> {
    let socket = listen::bind("http", config.listen.http).await?;
    let address = socket.local_addr().map_err(|source| StartError::failed("tell the address", source))?;
    let tls = Acceptor::open(&config.listen.tls, "http", patchbay_http::PROTOCOLS, &context)
        .map_err(|error| StartError::failed("use the certificate of listen.tls", error))?;
    let core = Core::open(config, context).await?;
    let routes = grpc::routes(&core);
    let calls = rest::router(&core, &routes)
        .map_err(|error| StartError::failed("make the table of REST paths", error))?;
    let viewings = Viewings::open(&core)?;
    let doors = http::router(&core, &viewings, calls)?;
    let drain = http::drain(&viewings, rest::serve(&core, socket, tls.clone(), doors));
    core.spawn_tasks();
    let url = format!("{}://{}/", patchbay_tls::scheme(tls.as_ref()), listen::reachable(address));
    let running = Running {
        listeners: vec![Listening { name: "camera", address, url }],
        grpc: Some(GrpcServices {
            routes,
            methods: grpc::methods(),
            descriptors: patchbay_proto::DESCRIPTOR_SET,
        }),
        drain: Some(drain),
        figures: Some({
            let core = Arc::clone(&core);
            Arc::new(move || {
                let certificate = patchbay_tls::figure(tls.as_ref());
                metrics::figures(&core).into_iter().chain(certificate).collect()
            })
        }),
        on_reaped: None,
    };
    Ok((running, core))
}
