//! What a proxy does to headers: those of one hop stay there, and those that tell where a request comes from are ours.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header, uri::Authority};
use patchbay_http::Transport;
use std::net::IpAddr;

/// Value of `te` that gRPC asks for.
pub(super) const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// RFC 9110, section 7.6.1, and what older proxies sent.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Other ways to claim where a request comes from, which somebody behind us may believe.
const CLAIMS: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-real-ip")];

/// Who sent a request to us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// How it came.
    pub(super) transport: Transport,
    /// Whether what it says about the browser behind it is kept.
    pub(super) trusted: bool,
}

/// Makes a request's headers ready for an upstream. `authority` is that of an HTTP/2 request, which has no `host`.
pub(super) fn forward(headers: &mut HeaderMap, peer: Peer, authority: Option<&Authority>) {
    strip_hop_by_hop(headers);
    for claim in &CLAIMS {
        headers.remove(claim);
    }
    if let Some(authority) = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        headers.insert(header::HOST, authority);
    }
    if !peer.trusted {
        headers.remove(X_FORWARDED_FOR);
        headers.remove(X_FORWARDED_HOST);
        headers.remove(X_FORWARDED_PROTO);
    }
    append_address(headers, peer.address);
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(peer.transport.scheme()));
}

/// Removes what concerns one connection only, and what `connection` names.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let options = values.flat_map(|value| value.split(',')).map(str::trim);
    let named: Vec<HeaderName> = options.filter_map(|name| name.parse().ok()).collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Says that the connection is to change to a protocol, or that it has.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

fn append_address(headers: &mut HeaderMap, address: IpAddr) {
    let before = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut addresses: Vec<String> = before.map(str::to_owned).collect();
    addresses.push(address.to_canonical().to_string());
    if let Ok(value) = HeaderValue::from_str(&addresses.join(", ")) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn forwarded(pairs: &[(&str, &str)], trusted: bool) -> HeaderMap {
        let mut headers = headers(pairs);
        let address = "192.0.2.7".parse().unwrap();
        forward(&mut headers, Peer { address, transport: Transport::Plain, trusted }, None);
        headers
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from() {
        let claims = [
            ("host", "console:8000"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "bank.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ];
        let sent = forwarded(&claims, false);
        assert_eq!(sent["x-forwarded-for"], "192.0.2.7");
        assert_eq!(
            (&sent["x-forwarded-host"], &sent["x-forwarded-proto"]),
            (&"console:8000".parse().unwrap(), &"http".parse().unwrap())
        );
        assert!(!sent.contains_key("forwarded") && !sent.contains_key("x-real-ip"));
    }

    #[test]
    fn a_trusted_proxy_is_added_to() {
        let sent = forwarded(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")], true);
        assert_eq!(sent["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(sent["x-forwarded-proto"], "https");
    }

    #[test]
    fn who_came_by_tls_did() {
        let mut headers = headers(&[("host", "console:8000"), ("x-forwarded-proto", "http")]);
        let address = "192.0.2.7".parse().unwrap();
        forward(&mut headers, Peer { address, transport: Transport::Tls, trusted: false }, None);
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    #[test]
    fn headers_of_one_hop_stay_there() {
        let sent = forwarded(
            &[("connection", "close, x-secret"), ("x-secret", "1"), ("te", "gzip"), ("accept", "*/*")],
            false,
        );
        assert!(["connection", "x-secret", "te"].iter().all(|name| !sent.contains_key(*name)));
        assert_eq!(sent["accept"], "*/*");
    }
}
