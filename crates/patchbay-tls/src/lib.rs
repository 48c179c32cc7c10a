//! TLS for listeners: certificates that are read again when they change or renewed by a local authority, and an accept
//! that is bounded in time.
//!
//! A service has a [`Tls`] section, makes an [`Acceptor`] of it at start, and hands it to `patchbay_http::Server` or
//! calls [`Acceptor::accept`] itself. Behind the edge, services speak plain text and have none. What a server elsewhere
//! speaks is `patchbay-tls-probe`'s business.

mod acceptor;
mod authority;
mod certificate;
mod development;
mod error;
mod files;
mod metrics;
mod names;
mod pem;
mod plain;
mod section;

pub use acceptor::{Acceptor, HandshakeError, TlsStream, figure, scheme, websocket_scheme};
pub use authority::{Authority, Signed};
pub use certificate::{Certificate, Place};
pub use error::TlsError;
pub use section::{Tls, Version};
