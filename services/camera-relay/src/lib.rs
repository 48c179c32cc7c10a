//! camera-relay: cameras in the browser, each captured and encoded once, however many look.
//!
//! `cameras` is the list and makes sources of it for the hub of `patchbay-media`; `viewers` knows who looks here; `replicas` tells the others and asks
//! them; `grpc` is the interface, `rest` the same in JSON, `snapshot` makes single pictures. This file puts them together.

pub mod caller;
pub mod cameras;
pub mod config;
pub mod core;
pub mod error;
mod grpc;
pub mod metrics;
pub mod replicas;
mod rest;
pub mod snapshot;
pub mod viewers;

use config::RelayConfig;
use core::Core;
use patchbay_chassis::{Context, GrpcServices, Listening, Running, Service, StartError, listen};
use std::sync::Arc;

pub use grpc::{Door, Guests, METHODS, Method};

/// The service.
pub struct CameraRelay;

impl Service for CameraRelay {
    const NAME: &'static str = "camera-relay";
    const GRPC_PORT: u16 = 9103;
    const OPS_PORT: u16 = 9203;
    type Config = RelayConfig;

    async fn start(config: RelayConfig, context: Context) -> Result<Running, StartError> {
        let socket = listen::bind("http", config.listen.http).await?;
        let address = socket.local_addr().map_err(|source| StartError::failed("tell the address", source))?;
        let core = Core::open(config, context).await?;
        let routes = grpc::routes(&core);
        let router = rest::router(&core, &routes)
            .map_err(|error| StartError::failed("make the table of REST paths", error))?;
        let drain = rest::serve(&core, socket, router);
        core.spawn_tasks();
        let url = format!("http://{}/", listen::reachable(address));
        Ok(Running {
            listeners: vec![Listening { name: "camera", address, url }],
            grpc: Some(GrpcServices {
                routes,
                methods: grpc::methods(),
                descriptors: patchbay_proto::DESCRIPTOR_SET,
            }),
            drain: Some(drain),
            figures: Some({
                let core = Arc::clone(&core);
                Arc::new(move || metrics::figures(&core))
            }),
            on_reaped: None,
        })
    }
}
