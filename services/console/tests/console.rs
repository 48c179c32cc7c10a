//! The console in process, between a browser's requests and real servers behind it.

use anyhow::{Context, Result};
use axum::{Json, Router, body::Body, extract::Request, routing::any};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use patchbay_chassis::{Mode, Options, Process, Suite, config::Layer};
use patchbay_proto::console::v1::{ListNodesRequest, NodeState, overview_client::OverviewClient};
use patchbay_testkit::{keys::Keys, ports::free_address};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::mpsc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async, connect_async,
    tungstenite::{
        ClientRequestBuilder, Message,
        handshake::server::{Request as Handshake, Response as Accepted},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;

/// A console with an issuer of tokens, on ports of its own.
struct World {
    process: Process,
    address: SocketAddr,
    keys: Keys,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts a console whose chat upstream is at `chat`.
    async fn start(chat: SocketAddr) -> Result<Self> {
        Self::start_with(|flags| flags.set("upstreams.chat", format!("http://{chat}"))).await
    }

    async fn start_with(change: impl FnOnce(Layer) -> Layer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let grpc = free_address();
        let flags = Layer::new("test")
            .set("http.listen", "127.0.0.1:0")
            .set("grpc.listen", grpc.to_string())
            .set("ops.listen", "127.0.0.1:0")
            .set("drain.delay", "0s")
            .set("drain.spread", "0s")
            .set("upstreams.console_grpc", format!("http://{grpc}"))
            .set("auth.jwks_file", keys.jwks().display().to_string());
        let options = Options {
            file: None,
            mode: Mode::Development,
            services: None,
            presets: Vec::new(),
            flags: change(flags),
            environment: Vec::new(),
        };
        let process = Process::start(Suite::single::<console::Console>().load(&options)?).await?;
        let http = process.addresses().iter().find(|address| address.name == "http");
        let address = http.context("the console listens")?.address;
        Ok(Self { process, address, keys, _folder: folder })
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Result<Answer> {
        let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
        let (parts, body) = client.request(request.body(body)?).await?.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes().to_vec(),
            trailers,
        })
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        http::Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path), Body::empty()).await
    }

    async fn channel(&self) -> Result<Channel> {
        Ok(Channel::from_shared(format!("http://{}", self.address))?.connect().await?)
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// A service that answers with what it was asked.
async fn mirror() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = any(async |request: Request| {
        let headers = request.headers().iter();
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
            .collect();
        let path = request.uri().to_string();
        let body = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
        Json(json!({ "path": path, "headers": headers, "body": body }))
    });
    spawn(async move { Ok(axum::serve(listener, Router::new().fallback(echo)).await?) });
    Ok(address)
}

/// What a WebSocket server saw of a handshake.
type Seen = (String, HeaderMap);

/// A WebSocket server that echoes texts and closes with 3001 when told to; it takes one connection.
async fn echo_server() -> Result<(SocketAddr, mpsc::Receiver<Seen>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (seen, handshakes) = mpsc::sync_channel(1);
    spawn(async move {
        let (stream, _) = listener.accept().await?;
        #[expect(clippy::result_large_err, reason = "the trait that it implements has it so")]
        let look = |request: &Handshake, mut accepted: Accepted| {
            // A test that does not ask has dropped the receiver.
            drop(seen.send((request.uri().to_string(), request.headers().clone())));
            let protocol = request.headers()[header::SEC_WEBSOCKET_PROTOCOL].clone();
            accepted.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
            Ok(accepted)
        };
        let mut socket = accept_hdr_async(stream, look).await?;
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            if text == "go" {
                let frame = CloseFrame { code: CloseCode::from(3001), reason: "shutdown".into() };
                socket.close(Some(frame)).await?;
            } else {
                socket.send(Message::Text(text)).await?;
            }
        }
        Ok(())
    });
    Ok((address, handshakes))
}

#[expect(clippy::disallowed_methods, reason = "a peer of the test is no part of the process under test")]
fn spawn(future: impl Future<Output = Result<()>> + Send + 'static) {
    tokio::spawn(future);
}

#[tokio::test]
async fn pages_come_with_their_guards_and_unknown_addresses_are_the_applications() -> Result<()> {
    let world = World::start(free_address()).await?;
    for path in ["/", "/rooms/lobby", "/settings"] {
        let page = world.get(path).await?;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-cache", "{path}");
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str()?;
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    assert_eq!(world.get("/assets/gone.js").await?.status, StatusCode::NOT_FOUND);
    let post = world.send(world.request(Method::POST, "/"), Body::empty()).await?;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_file_to_be_hashed_may_have_any_size_and_nothing_else_may() -> Result<()> {
    let service = mirror().await?;
    let world = World::start_with(|flags| flags.set("upstreams.crypto", format!("http://{service}"))).await?;
    let size = 5 * 1024 * 1024;
    let hashed = world.request(Method::POST, "/crypto/v1/digest/stream?algorithm=sha2-256");
    let answer = world.send(hashed, Body::from(vec![7; size])).await?;
    assert_eq!(answer.json()?["body"], size);
    assert_eq!(answer.json()?["path"], "/v1/digest/stream?algorithm=sha2-256");
    let other = world.request(Method::POST, "/crypto/v1/digest");
    assert_eq!(world.send(other, Body::from(vec![7; size])).await?.status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[tokio::test]
async fn a_service_gets_its_own_path_and_learns_where_the_browser_is() -> Result<()> {
    let world = World::start(mirror().await?).await?;
    let request = world
        .request(Method::GET, "/chat/info?x=1")
        .header("x-forwarded-for", "10.9.8.7")
        .header("x-real-ip", "10.9.8.7")
        .header("connection", "x-private")
        .header("x-private", "1");
    let seen = world.send(request, Body::empty()).await?.json()?;
    assert_eq!(seen["path"], "/info?x=1");
    assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen["headers"]["host"], world.address.to_string(), "the service compares it with Origin");
    assert_eq!(seen["headers"]["x-real-ip"], Value::Null);
    assert_eq!(seen["headers"]["x-private"], Value::Null);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_camera_is_reached_and_learns_which_host_the_browser_knows() -> Result<()> {
    let camera = mirror().await?;
    let world = World::start_with(|flags| flags.set("upstreams.camera", format!("http://{camera}"))).await?;
    let request = world.request(Method::POST, "/camera/whep/test").header("content-type", "application/sdp");
    let seen = world.send(request, Body::from("v=0\r\n")).await?.json()?;
    assert_eq!((&seen["path"], &seen["body"]), (&json!("/whep/test"), &json!(5)));
    assert_eq!(seen["headers"]["content-type"], "application/sdp");
    assert_eq!(seen["headers"]["x-forwarded-host"], world.address.to_string());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() -> Result<()> {
    let chat = mirror().await?;
    let world = World::start_with(|flags| {
        flags.set("upstreams.chat", format!("http://{chat}")).set("http.trusted_proxies", vec!["127.0.0.0/8"])
    })
    .await?;
    let request = world.request(Method::GET, "/chat/").header("x-forwarded-for", "203.0.113.9");
    let seen = world.send(request, Body::empty()).await?.json()?;
    assert_eq!(seen["headers"]["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_trusted_proxy_is_known_through_an_ipv6_socket() -> Result<()> {
    let chat = mirror().await?;
    let mut world = World::start_with(|flags| {
        let flags = flags.set("upstreams.chat", format!("http://{chat}"));
        flags.set("http.listen", "[::]:0").set("http.trusted_proxies", vec!["127.0.0.0/8"])
    })
    .await?;
    world.address = ([127, 0, 0, 1], world.address.port()).into();
    let request = world.request(Method::GET, "/chat/").header("x-forwarded-for", "203.0.113.9");
    let seen = world.send(request, Body::empty()).await?.json()?;
    assert_eq!(seen["headers"]["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() -> Result<()> {
    let world = World::start_with(|flags| flags.set("limits.head_timeout", "1s")).await?;
    for beginning in ["", "PRI * HT", "GET / HT"] {
        let mut stream = TcpStream::connect(world.address).await?;
        stream.write_all(beginning.as_bytes()).await?;
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await;
        assert!(!matches!(closed, Err(_) | Ok(Ok(1..))), "{beginning:?}: {closed:?}");
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn bodies_pass_up_to_the_limit() -> Result<()> {
    let chat = mirror().await?;
    let world = World::start_with(|flags| {
        flags.set("upstreams.chat", format!("http://{chat}")).set("limits.body", "64KiB")
    })
    .await?;
    let post = async |body: Body| world.send(world.request(Method::POST, "/chat/x"), body).await;
    assert_eq!(post(Body::from(vec![0; 65_536])).await?.json()?["body"], 65_536);
    assert_eq!(post(Body::from(vec![0; 65_537])).await?.status, StatusCode::PAYLOAD_TOO_LARGE);
    let pieces = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0; 8192])));
    assert_eq!(
        post(Body::from_stream(pieces)).await?.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "of unknown length"
    );
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_away_is_told_in_words() -> Result<()> {
    let world = World::start(free_address()).await?;
    let answer = world.get("/chat/ws").await?;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    let error = &answer.json()?["error"];
    assert_eq!(error["reason"], "UPSTREAM_UNREACHABLE");
    assert_eq!(error["message"], "chat-gateway does not answer; it may be starting or stopped");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let chat = silent.local_addr()?;
    let world = World::start_with(|flags| {
        flags.set("upstreams.chat", format!("http://{chat}")).set("limits.answer_timeout", "200ms")
    })
    .await?;
    assert_eq!(world.get("/chat/").await?.status, StatusCode::GATEWAY_TIMEOUT);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_websocket_goes_through_with_its_protocol_and_its_close_code() -> Result<()> {
    let (chat, handshakes) = echo_server().await?;
    let world = World::start(chat).await?;
    let uri = format!("ws://{}/chat/ws", world.address).parse()?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("patchbay.v1.json");
    let (mut socket, response) = connect_async(request).await?;
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "patchbay.v1.json");
    let (path, headers) = handshakes.recv()?;
    assert_eq!((path.as_str(), &headers["x-forwarded-for"]), ("/ws", &"127.0.0.1".parse()?));

    let long = "x".repeat(100_000);
    for text in ["hello", &long] {
        socket.send(Message::text(text)).await?;
        assert_eq!(socket.next().await.context("an echo")??, Message::text(text));
    }
    socket.send(Message::text("go")).await?;
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("it closes") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3001, "shutdown"));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn stopping_cuts_a_tunnel_that_does_not_end() -> Result<()> {
    let (chat, _handshakes) = echo_server().await?;
    let world = World::start_with(|flags| {
        flags
            .set("upstreams.chat", format!("http://{chat}"))
            .set("drain.spread", "100ms")
            .set("drain.deadline", "30s")
    })
    .await?;
    let uri = format!("ws://{}/chat/ws", world.address).parse()?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("patchbay.v1.json");
    let (mut socket, _) = connect_async(request).await?;
    world.process.stop().await;
    assert!(!matches!(socket.next().await, Some(Ok(_))), "the connection is gone");
    Ok(())
}

#[tokio::test]
async fn nodes_are_listed_to_those_who_may_see_them() -> Result<()> {
    let world = World::start(free_address()).await?;
    let mut overview = OverviewClient::new(world.channel().await?);

    let nobody = overview.list_nodes(ListNodesRequest {}).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);

    let mut list = async |scope: &str| {
        let mut request = tonic::Request::new(ListNodesRequest {});
        let bearer = format!("Bearer {}", world.keys.token("ada", &[scope]).unwrap());
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        overview.list_nodes(request).await
    };
    for scope in ["console:read:streams", "chat:admin:*"] {
        let denied = list(scope).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{scope}");
        let details = denied.get_error_details();
        assert_eq!(
            details.error_info().context("details")?.reason,
            "PERMISSION_DENIED",
            "they pass the proxy"
        );
    }

    let listed = list("console:read:overview").await?.into_inner();
    assert_eq!((listed.backplane.as_str(), listed.backplane_up), ("memory", true));
    let [node] = listed.nodes.as_slice() else { panic!("one node: {:?}", listed.nodes) };
    assert_eq!((node.service.as_str(), node.version.as_str()), ("console", env!("CARGO_PKG_VERSION")));
    assert_ne!(node.state(), NodeState::Unspecified);
    assert!(node.uptime.is_some() && listed.time.is_some());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn grpc_web_goes_through_on_the_pages_origin() -> Result<()> {
    let world = World::start(free_address()).await?;
    let call = async |token: Option<String>| {
        let mut request = world
            .request(Method::POST, "/patchbay.console.v1.Overview/ListNodes")
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        // An empty message: no compression, no bytes.
        world.send(request, Body::from(vec![0; 5])).await
    };
    let refused = call(None).await?;
    assert_eq!((refused.status, grpc_status(&refused).as_deref()), (StatusCode::OK, Some("16")));
    let listed = call(Some(world.keys.token("ada", &["admin"])?)).await?;
    assert_eq!(grpc_status(&listed).as_deref(), Some("0"));
    assert!(String::from_utf8_lossy(&listed.body).contains("memory"));
    world.process.stop().await;
    Ok(())
}

/// Status in the headers, the trailers, or the trailers that grpc-web writes into the body.
fn grpc_status(answer: &Answer) -> Option<String> {
    let field = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
    let told = field.and_then(|value| value.to_str().ok()).map(str::to_owned);
    told.or_else(|| {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let (_, rest) = body.split_once("grpc-status:")?;
        Some(rest.trim_start().chars().take_while(char::is_ascii_digit).collect())
    })
}
