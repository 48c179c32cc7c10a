//! Configuration of the console.

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use patchbay_chassis::{ByteSize, Problems, ServiceConfig, Span, config::Network};
use patchbay_tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// All sections of the console's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Where browsers connect.
    pub http: Http,
    /// Where the services are that browsers reach through the console.
    pub upstreams: Upstreams,
    /// Bounds on requests.
    pub limits: Limits,
}

/// Where browsers connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address for browsers.
    pub listen: SocketAddr,
    /// Addresses of proxies whose `X-Forwarded-For` is kept; a network is written `10.0.0.0/8`. Anybody else's is
    /// replaced by the address they come from.
    pub trusted_proxies: Vec<Network>,
    /// TLS of that address: either two files, or `development`, or neither for plain text.
    pub tls: Tls,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: ([0, 0, 0, 0], 8000).into(), trusted_proxies: Vec::new(), tls: Tls::default() }
    }
}

/// Where the services are that browsers reach through the console.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstreams {
    /// camera-relay's HTTP port, for `/camera/*`.
    pub camera: Upstream,
    /// camera-relay's gRPC port, for `/patchbay.camera.v1.*`.
    pub camera_grpc: Upstream,
    /// chat-gateway's HTTP and WebSocket port, for `/chat/*`.
    pub chat: Upstream,
    /// chat-gateway's gRPC port, for `/patchbay.chat.v1.*`.
    pub chat_grpc: Upstream,
    /// crypto-service's REST port, for `/crypto/*`.
    pub crypto: Upstream,
    /// crypto-service's gRPC port, for `/patchbay.crypto.v1.*`.
    pub crypto_grpc: Upstream,
    /// The console's own gRPC port, for `/patchbay.console.v1.*`.
    pub console_grpc: Upstream,
    /// File with the authority (PEM) by which upstreams with `https://` are trusted, and no other; read again when it changes. Where it is not
    /// set: those of the web, and the local authority in the folder of `data.dir`.
    pub authority_file: Option<PathBuf>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            camera: Upstream::loopback("127.0.0.1:8080"),
            camera_grpc: Upstream::loopback("127.0.0.1:9103"),
            chat: Upstream::loopback("127.0.0.1:8765"),
            chat_grpc: Upstream::loopback("127.0.0.1:9101"),
            crypto: Upstream::loopback("127.0.0.1:8200"),
            crypto_grpc: Upstream::loopback("127.0.0.1:9107"),
            console_grpc: Upstream::loopback("127.0.0.1:9100"),
            authority_file: None,
        }
    }
}

/// Bounds on requests.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections, tunnelled ones included; more wait to be accepted.
    pub connections: usize,
    /// Time for a request's head to arrive, and for an idle connection to send one.
    pub head_timeout: Span,
    /// Time for an upstream to accept a connection.
    pub connect_timeout: Span,
    /// Time for an upstream to begin its answer, after the last piece of the request's body.
    pub answer_timeout: Span,
    /// Body of a request that is passed on; gRPC has its own limit for each message, and a file to be hashed has none.
    pub body: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            head_timeout: Span::seconds(30),
            connect_timeout: Span::seconds(3),
            answer_timeout: Span::seconds(30),
            body: ByteSize::mib(1),
        }
    }
}

impl ServiceConfig for ConsoleConfig {
    fn validate(&self, problems: &mut Problems) {
        self.http.tls.validate("http.tls", problems);
        if self.limits.connections == 0 {
            problems.add("limits.connections", "must be at least 1");
        }
        let upstreams = &self.upstreams;
        let grpc = [
            ("upstreams.camera_grpc", &upstreams.camera_grpc),
            ("upstreams.chat_grpc", &upstreams.chat_grpc),
            ("upstreams.crypto_grpc", &upstreams.crypto_grpc),
            ("upstreams.console_grpc", &upstreams.console_grpc),
        ];
        for (key, _) in grpc.into_iter().filter(|(_, upstream)| *upstream.scheme() == Scheme::HTTPS) {
            problems.add(key, "must begin with http://: gRPC is served in plain text");
        }
        let limits = self.limits;
        let times = [
            ("limits.head_timeout", limits.head_timeout),
            ("limits.connect_timeout", limits.connect_timeout),
            ("limits.answer_timeout", limits.answer_timeout),
        ];
        for (key, _) in times.into_iter().filter(|(_, time)| time.duration().is_zero()) {
            problems.add(key, "must be longer than nothing");
        }
    }
}

/// A service behind the console, written as `"http://host:port"`, or with `https` where its port has TLS.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
}

impl Upstream {
    fn loopback(authority: &'static str) -> Self {
        Self { scheme: Scheme::HTTP, authority: Authority::from_static(authority) }
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }
}

/// A text that is no upstream.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an address such as \"http://host:port\"")]
pub struct UpstreamError(String);

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let parts = text.parse::<Uri>().ok().filter(|uri| uri.path() == "/").map(Uri::into_parts);
        let ends = parts.and_then(|parts| parts.scheme.zip(parts.authority));
        let ends = ends.filter(|(scheme, authority)| {
            let is_known = [Scheme::HTTP, Scheme::HTTPS].contains(scheme);
            is_known && authority.port().is_some() && !authority.as_str().contains('@')
        });
        ends.map(|(scheme, authority)| Self { scheme, authority })
            .ok_or_else(|| UpstreamError(text.to_owned()))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl Serialize for Upstream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_has_host_and_port_and_nothing_else() {
        for good in ["http://127.0.0.1:8765", "https://chat-gateway:8765/", "http://[::1]:80"] {
            assert!(good.parse::<Upstream>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "chat:80",
            "http://chat",
            "ftp://chat:443",
            "https://chat",
            "http://chat:80/ws",
            "http://me:pw@chat:80",
        ] {
            assert!(bad.parse::<Upstream>().is_err(), "{bad}");
        }
    }
}
