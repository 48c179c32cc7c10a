//! Configuration as services and programs see it: the types of `patchbay-config` and the sections all services have.
//!
//! Precedence: defaults < presets of the program (`--dev`) < file < `PATCHBAY_SECTION__KEY` < flags. Where a service's
//! sections stand (at the top, or under the service's name in the all-in-one) is decided by [`crate::Suite`].

pub use crate::sections::{Data, Drain, Grpc, Log, LogFormat, Ops, Shared, Telemetry};
pub use patchbay_config::*;
