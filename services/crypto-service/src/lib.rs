//! crypto-service: identity for the suite, and keys that applications use without ever seeing them.
//!
//! `patchbay-crypto` has the primitives and does no I/O; `keyring`, `accounts` and `tokens` decide; `store` keeps their rows, together with
//! the audit record of every change; `grpc` is the interface, and `rest` and `vault` are other words for the same calls. This file
//! puts them together.

pub mod accounts;
mod audit;
mod backup;
pub mod caller;
pub mod certificates;
pub mod config;
pub mod core;
mod data;
pub mod error;
mod grpc;
pub mod keyring;
pub mod metrics;
mod outbox;
pub mod passwords;
pub mod pool;
mod rest;
pub mod root_key;
mod seal;
mod secrecy;
pub mod store;
mod streams;
pub mod tls_probe;
pub mod tokens;
mod vault;
mod x509;

use config::CryptoConfig;
use patchbay_chassis::{Context, GrpcServices, Listening, Running, Service, StartError, listen};
use patchbay_tls::Acceptor;
use seal::Seal;
use std::sync::Arc;

pub use grpc::{Door, METHODS, Method};

/// The service.
pub struct CryptoService;

impl Service for CryptoService {
    const NAME: &'static str = "crypto-service";
    const GRPC_PORT: u16 = 9107;
    const OPS_PORT: u16 = 9207;
    type Config = CryptoConfig;

    async fn start(config: CryptoConfig, context: Context) -> Result<Running, StartError> {
        secrecy::forbid_dumps();
        let socket = listen::bind("http", config.listen.http).await?;
        let address = socket.local_addr().map_err(|source| StartError::failed("tell the address", source))?;
        let tls = Acceptor::open(&config.listen.tls, "http", patchbay_http::PROTOCOLS, &context)
            .map_err(|error| StartError::failed("use the certificate of listen.tls", error))?;
        let seal = Seal::start(config, context).await?;
        metrics::watch(&seal);
        let drain = rest::serve(&seal, socket, tls.clone())?;
        let url = format!("{}://{}", patchbay_tls::scheme(tls.as_ref()), listen::reachable(address));
        let mut listeners = vec![Listening { name: "http", address, url }];
        if let Ok(core) = seal.core() {
            let setup = accounts::setup_link(&core)
                .await
                .map_err(|error| StartError::failed("prepare the first setup", error))?;
            listeners.extend(setup.map(|url| Listening { name: "setup", address, url }));
        }
        Ok(Running {
            listeners,
            grpc: Some(GrpcServices {
                routes: seal::gate::routes(&seal),
                methods: grpc::methods(),
                descriptors: patchbay_proto::DESCRIPTOR_SET,
            }),
            drain: Some(drain),
            figures: Some({
                Arc::new(move || {
                    let certificate = patchbay_tls::figure(tls.as_ref());
                    metrics::figures(&seal).into_iter().chain(certificate).collect()
                })
            }),
            on_reaped: None,
        })
    }
}
