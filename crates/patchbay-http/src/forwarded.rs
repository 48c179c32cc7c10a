//! What proxies say about the client behind them, and whether it is believed.

use http::{HeaderMap, HeaderName, header};
use patchbay_chassis::config::Network;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a peer is one of the proxies that are believed.
pub fn is_trusted(trusted: &[Network], peer: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// The client's address: what the nearest trusted proxy says it is, else the peer's.
pub fn client(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !is_trusted(trusted, peer) {
        return peer;
    }
    let values: Vec<_> = texts(headers, &X_FORWARDED_FOR).collect();
    let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    // What stands before something that is no address may be the client's own invention.
    let mut named = hops.map_while(|hop| address(hop.trim()));
    named.find(|address| !is_trusted(trusted, *address)).unwrap_or(peer)
}

/// The authority that the client has dialled: what a trusted proxy says it was, else what the request says.
pub fn host<'h>(
    trusted: &[Network],
    peer: IpAddr,
    headers: &'h HeaderMap,
    authority: Option<&'h str>,
) -> Option<&'h str> {
    let forwarded = || texts(headers, &X_FORWARDED_HOST).next()?.split(',').next().map(str::trim);
    let said = if is_trusted(trusted, peer) { forwarded() } else { None };
    // A request of HTTP/2 has its authority in the target.
    said.or(authority).or_else(|| texts(headers, &header::HOST).next())
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<Network> {
        vec!["10.0.0.0/8".parse().unwrap()]
    }

    fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let said = |peer: &str, forwarded: &str| {
            let headers = headers(&[(&X_FORWARDED_FOR, forwarded)]);
            client(&trusted(), peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(said("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(said("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(said("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.7"), "203.0.113.9");
        assert_eq!(said("10.0.0.1", "203.0.113.9, unknown"), "10.0.0.1");
        assert_eq!(said("10.0.0.1", "[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(said("::ffff:10.0.0.1", "203.0.113.9"), "203.0.113.9");
        let mut twice = headers(&[(&X_FORWARDED_FOR, "198.51.100.1")]);
        twice.append(X_FORWARDED_FOR, "203.0.113.9".parse().unwrap());
        assert_eq!(client(&trusted(), "10.0.0.1".parse().unwrap(), &twice).to_string(), "203.0.113.9");
        assert_eq!(
            client(&trusted(), "10.0.0.1".parse().unwrap(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn only_a_trusted_proxy_says_what_was_dialled() {
        let all = headers(&[(&header::HOST, "relay:8080"), (&X_FORWARDED_HOST, "192.0.2.5:8080, inner")]);
        let said = |peer: &str, authority| host(&trusted(), peer.parse().unwrap(), &all, authority);
        assert_eq!(said("10.0.0.1", None), Some("192.0.2.5:8080"));
        assert_eq!(said("192.0.2.1", None), Some("relay:8080"));
        assert_eq!(said("192.0.2.1", Some("dialled")), Some("dialled"));
        assert_eq!(host(&[], "10.0.0.1".parse().unwrap(), &HeaderMap::new(), None), None);
    }
}
