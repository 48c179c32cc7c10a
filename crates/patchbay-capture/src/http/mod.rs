//! GET and POST over connections that the guard of `patchbay-egress` has made: the way to cameras that speak HTTP, and the only one that libav has to a network.
//!
//! Every connection is checked anew, that of a redirect too. Logins go to the host of the address alone. A connection serves one request.

mod body;
mod client;
mod error;
mod login;
#[cfg(test)]
pub(crate) mod server;
mod wire;

pub use body::Body;
pub use client::{Answer, HttpClient, Reply};
pub use error::HttpError;

use crate::{CaptureLimits, Credentials, Trust};
use patchbay_egress::Guard;
use std::fmt;
use url::Url;

/// What to fetch from, and how. What prints it leaves logins and tokens out.
#[derive(Clone)]
pub struct HttpTarget {
    /// `http://` or `https://`, without a login.
    pub url: Url,
    /// Login, by Basic or Digest as the host asks.
    pub credentials: Option<Credentials>,
    /// How hosts prove who they are, with `https://`.
    pub trust: Trust,
    /// Bounds.
    pub limits: CaptureLimits,
    /// What may be reached.
    pub guard: Guard,
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpTarget").field("url", &crate::redacted(&self.url)).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
