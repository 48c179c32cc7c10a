//! Binding of sockets: before a service says that it is ready, and with an error that names the listener.

use crate::service::StartError;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Binds a TCP listener; port 0 asks the system for a free one.
pub async fn bind(name: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { name, address, source })
}

/// Address at which a person or program on this machine reaches a bound listener.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    SocketAddr::new(ip, address.port())
}
