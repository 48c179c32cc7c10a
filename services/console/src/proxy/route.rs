//! Which path goes to which service: the table of `docs/reference` and of the edge, which strips the same prefixes.

use crate::config::{Upstream, Upstreams};
use axum::{
    body::Body,
    http::{Request, Uri, header, uri::PathAndQuery},
};

/// Paths of requests whose bodies have no limit here, before and after the name of a key: files that are hashed, encrypted or decrypted as they arrive, and kept nowhere.
const STREAMS: [(&str, &str); 3] = [
    ("/crypto/v1/digest/stream", ""),
    ("/crypto/v1/keys/", "/encrypt-stream"),
    ("/crypto/v1/keys/", "/decrypt-stream"),
];

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1, with upgrades; the prefix is stripped.
    Http,
    /// HTTP/2: gRPC and grpc-web; the path stays as it is.
    Grpc,
}

/// A service behind a prefix.
#[derive(Debug)]
pub(super) struct Route {
    /// Name of the service, for errors and logs.
    pub(super) service: &'static str,
    pub(super) protocol: Protocol,
    prefix: &'static str,
    upstream: Upstream,
}

/// All routes.
#[derive(Debug)]
pub(super) struct Routes([Route; 7]);

impl Routes {
    pub(super) fn new(upstreams: &Upstreams) -> Self {
        let route = |prefix, protocol, service, upstream: &Upstream| Route {
            service,
            protocol,
            prefix,
            upstream: upstream.clone(),
        };
        Self([
            route("/camera/", Protocol::Http, "camera-relay", &upstreams.camera),
            route("/patchbay.camera.v1.", Protocol::Grpc, "camera-relay", &upstreams.camera_grpc),
            route("/chat/", Protocol::Http, "chat-gateway", &upstreams.chat),
            route("/patchbay.chat.v1.", Protocol::Grpc, "chat-gateway", &upstreams.chat_grpc),
            route("/crypto/", Protocol::Http, "crypto-service", &upstreams.crypto),
            route("/patchbay.crypto.v1.", Protocol::Grpc, "crypto-service", &upstreams.crypto_grpc),
            route("/patchbay.console.v1.", Protocol::Grpc, "console", &upstreams.console_grpc),
        ])
    }

    pub(super) fn find(&self, path: &str) -> Option<&Route> {
        self.0.iter().find(|route| path.starts_with(route.prefix))
    }
}

impl Route {
    /// Whether a request asks for another protocol on its connection.
    pub(super) fn upgrade(&self, request: &Request<Body>) -> bool {
        self.protocol == Protocol::Http && request.headers().contains_key(header::UPGRADE)
    }

    /// Whether a request may be larger than others.
    pub(super) fn takes_any_size(&self, path: &str) -> bool {
        let is_stream = |(before, after): &(&str, &str)| {
            let between = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            between.is_some_and(|name| name.is_empty() == after.is_empty() && !name.contains('/'))
        };
        self.protocol == Protocol::Http && STREAMS.iter().any(is_stream)
    }

    /// Where a request for this route goes.
    pub(super) fn target(&self, uri: &Uri) -> Result<Uri, http::Error> {
        let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = match self.protocol {
            // The prefix ends with the slash that the rest begins with.
            Protocol::Http => whole.get(self.prefix.len() - 1..).unwrap_or("/"),
            Protocol::Grpc => whole,
        };
        Uri::builder()
            .scheme(self.upstream.scheme().clone())
            .authority(self.upstream.authority().clone())
            .path_and_query(path)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<String> {
        let routes = Routes::new(&Upstreams::default());
        routes.find(path).map(|route| route.target(&path.parse().unwrap()).unwrap().to_string())
    }

    #[test]
    fn services_get_their_own_paths() {
        assert_eq!(target("/chat/ws").as_deref(), Some("http://127.0.0.1:8765/ws"));
        assert_eq!(target("/chat/?a=b").as_deref(), Some("http://127.0.0.1:8765/?a=b"));
        let list = "/patchbay.console.v1.Overview/ListNodes";
        assert_eq!(target(list), Some(format!("http://127.0.0.1:9100{list}")));
        let rooms = "/patchbay.chat.v1.ChatAdmin/Rooms";
        assert_eq!(target(rooms), Some(format!("http://127.0.0.1:9101{rooms}")));
        let encrypt = "/crypto/v1/keys/orders/encrypt";
        assert_eq!(target(encrypt).as_deref(), Some("http://127.0.0.1:8200/v1/keys/orders/encrypt"));
        let sign_in = "/patchbay.crypto.v1.Tokens/SignIn";
        assert_eq!(target(sign_in), Some(format!("http://127.0.0.1:9107{sign_in}")));
        let snapshot = "/camera/snapshot/test.jpg?width=320";
        assert_eq!(target(snapshot).as_deref(), Some("http://127.0.0.1:8080/snapshot/test.jpg?width=320"));
        let cameras = "/patchbay.camera.v1.Cameras/ListCameras";
        assert_eq!(target(cameras), Some(format!("http://127.0.0.1:9103{cameras}")));
    }

    #[test]
    fn everything_else_is_the_console() {
        for path in [
            "/",
            "/chat",
            "/chatter/ws",
            "/rooms/chat/ws",
            "/crypto",
            "/camera",
            "/cameras",
            "/cameras/test",
            "/patchbay.files.v1.Files/List",
            "/grpc.health.v1.Health/Check",
        ] {
            assert_eq!(target(path), None, "{path}");
        }
    }

    #[test]
    fn only_streams_may_be_of_any_size() {
        let routes = Routes::new(&Upstreams::default());
        let any_size = |path: &str| routes.find(path).is_some_and(|route| route.takes_any_size(path));
        for path in [
            "/crypto/v1/digest/stream",
            "/crypto/v1/keys/files/encrypt-stream",
            "/crypto/v1/keys/files/decrypt-stream",
        ] {
            assert!(any_size(path), "{path}");
        }
        for path in [
            "/crypto/v1/digest",
            "/crypto/v1/digest/stream/",
            "/chat/v1/digest/stream",
            "/crypto/",
            "/crypto/v1/keys/files/encrypt",
            "/crypto/v1/keys/a/b/encrypt-stream",
            "/crypto/v1/keys//encrypt-stream",
            "/chat/v1/keys/files/encrypt-stream",
        ] {
            assert!(!any_size(path), "{path}");
        }
    }

    #[test]
    fn a_path_cannot_name_another_host() {
        assert_eq!(target("/chat//evil.example/x").as_deref(), Some("http://127.0.0.1:8765//evil.example/x"));
        assert_eq!(target("/chat/@evil.example").as_deref(), Some("http://127.0.0.1:8765/@evil.example"));
    }
}
