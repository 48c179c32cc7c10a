//! Connections to addresses that somebody else has named: resolved, checked against what may be reached, and pinned to what was checked.
//!
//! A service that connects wherever a caller says is a way into the network that it stands in: to loopback, to neighbours, to the metadata address of a cloud. [`Guard`] stands between: it
//! reads a host by strict rules ([`Host`]), looks it up once, refuses addresses that are not of the open internet unless the configuration allows them, and connects to the addresses that
//! it checked and to no others, so that a name cannot change its mind between the check and the connection. The probe of TLS servers uses it, and whatever else follows addresses from outside.

mod address;
mod config;
mod connect;
mod guard;
mod host;

pub use address::{AddressKind, kind_of};
pub use config::{EgressConfig, Private};
pub use connect::EgressError;
pub use guard::Guard;
pub use host::{Host, HostError};
