//! From where a call comes: for limits on guessing.

use patchbay_chassis::config::Network;
use patchbay_http::forwarded;
use tonic::Request;

/// Address of the client: the peer's, or what a trusted proxy says. REST puts its own client's address on the calls that it makes.
pub(super) fn address<T>(request: &Request<T>, trusted: &[Network]) -> String {
    let Some(peer) = request.remote_addr().map(|peer| peer.ip().to_canonical()) else {
        return "unknown".to_owned();
    };
    forwarded::client(trusted, peer, request.metadata().as_ref()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::transport::server::TcpConnectInfo;

    fn seen(peer: &str, forwarded: &str) -> String {
        let mut request = Request::new(());
        let remote_addr = Some(format!("{peer}:5000").parse().unwrap());
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        request.metadata_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        address(&request, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", "198.51.100.7"), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, 198.51.100.7:4711, 10.0.0.2"), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", "203.0.113.9, unknown"), "10.0.0.1", "not what the client made up");
        assert_eq!(address(&Request::new(()), &[]), "unknown");
    }
}
