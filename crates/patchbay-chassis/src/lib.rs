//! The process frame of every Patchbay service: command line, configuration, telemetry, lifecycle, gRPC, health.
//!
//! A service implements [`Service`] and its `main` is `patchbay_chassis::main::<MyService>()`. The all-in-one puts
//! several services into one [`Suite`]. This crate holds no domain words: it knows nothing of chat, calls or media,
//! and a service learns nothing of signals, ports for operators or where a configuration value came from.

pub mod cli;
pub mod client;
mod clock;
pub mod config;
pub mod error;
mod grpc;
mod lifecycle;
pub mod listen;
mod metrics;
mod nodes;
mod ops;
mod process;
mod readiness;
mod sections;
mod service;
mod suite;
mod tasks;
mod telemetry;

pub use cli::main;
pub use clock::{Clock, Ids};
pub use config::{ByteSize, Problems, ServiceConfig, Span};
pub use error::{ErrorCode, ServiceError};
pub use grpc::{adopt, grpc_timeout};
pub use metrics::Metrics;
pub use nodes::{NodeInfo, NodeState};
pub use patchbay_auth::MethodScopes;
pub use process::{Address, Process, RunError};
pub use readiness::{Component, Condition, Readiness};
pub use service::{
    Context, DrainHook, DrainPlan, FiguresHook, GrpcServices, Listening, Mode, Part, ReapedHook, Running,
    Service, Shutdown, StartError,
};
pub use suite::{Options, Settings, Suite};
pub use tasks::Tasks;

/// Version of the suite; all its crates share it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
