//! Where other replicas reach this one.

use crate::addresses::{self, Families};
use std::net::SocketAddr;

/// What is configured; else where the gRPC server is bound, and for all addresses the first that leads outside.
pub(super) fn advertised(configured: Option<&str>, bound: SocketAddr) -> String {
    if let Some(configured) = configured {
        return configured.to_owned();
    }
    if !bound.ip().is_unspecified() {
        return bound.to_string();
    }
    let found = addresses::choose(&[], None, &addresses::interfaces(), Families::of(bound.ip()));
    let ip = found.first().copied().unwrap_or(bound.ip());
    SocketAddr::new(ip, bound.port()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_wins_and_nobody_is_told_all_addresses() {
        let bound = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(advertised(Some("relay-0.relay:9103"), bound("0.0.0.0:9103")), "relay-0.relay:9103");
        assert_eq!(advertised(None, bound("127.0.0.1:9103")), "127.0.0.1:9103");
        assert_eq!(advertised(None, bound("[::1]:9103")), "[::1]:9103");
        let found = bound(&advertised(None, bound("0.0.0.0:9103")));
        assert!(!found.ip().is_unspecified() && found.is_ipv4() && found.port() == 9103, "{found}");
    }
}
