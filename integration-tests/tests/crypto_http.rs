//! What crypto-service's HTTP port does with clients that send nothing, or slowly, or that do not read: none keeps its
//! connection, and none of the others has to wait for long.

use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_testkit::{http, wait::wait_until};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{interval, timeout},
};

/// Time that a request may take to arrive, as configured.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time for the server to lose patience: much more than it should take, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Connections that the server takes at once.
const CONNECTIONS: usize = 3;

/// What an HTTP/2 client sends first: RFC 9113, section 3.4, and empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

struct World {
    replica: Crypto,
    installation: Installation,
    _folder: TempDir,
}

impl World {
    async fn start(patience: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let settings = Settings::default()
            .set("limits.request_timeout", &format!("{}s", patience.as_secs()))
            .set("limits.connections", &CONNECTIONS);
        let installation = Installation::create(folder.path(), settings)?;
        let replica = installation.start("crypto").await?;
        Ok(Self { replica, installation, _folder: folder })
    }

    async fn connect(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.replica.http).await?)
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = http::get(self.replica.ops, "/metrics", &[]).await.ok()?.body;
        let name = format!("patchbay_crypto_service_{name} ");
        metrics.lines().find_map(|line| line.strip_prefix(name.as_str())?.parse().ok())
    }

    async fn wait_open(&self, open: f64) -> Result<Duration> {
        let what = format!("{open} connections are open");
        wait_until(&what, DEADLINE, async || self.metric("rest_connections").await == Some(open)).await
    }
}

/// Waits until the server closes a connection, and returns what it has sent before.
async fn closed(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.context("it stays open")? {
        // What was not read when the server closed makes this of the end.
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(bytes),
    }
}

/// Sends a byte every now and then until the server closes, and returns what it has sent.
async fn drip(stream: &mut TcpStream) -> Result<String> {
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        let mut pace = interval(PATIENCE / 10);
        while writer.write_all(b"a").await.is_ok() {
            pace.tick().await;
        }
        std::future::pending().await
    };
    let mut bytes = Vec::new();
    let read = tokio::select! {
        read = timeout(DEADLINE, reader.read_to_end(&mut bytes)) => read.context("it stays open")?,
        never = dripping => never,
    };
    drop(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn jwks(address: SocketAddr) -> String {
    format!("GET /.well-known/jwks.json HTTP/1.1\r\nhost: {address}\r\n\r\n")
}

/// Reads until the text is there.
async fn read_until(stream: &mut TcpStream, text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&bytes).contains(text) {
            anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "it ended: {bytes:?}");
        }
        Ok(())
    };
    timeout(DEADLINE, reading).await.context("it does not come")??;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_preface_is_closed() -> TestResult {
    let world = World::start(PATIENCE).await?;
    for beginning in [&b""[..], b"P", b"PRI * HT", &PREFACE[..23], PREFACE] {
        let mut stream = world.connect().await?;
        stream.write_all(beginning).await?;
        let begun = Instant::now();
        closed(&mut stream).await.with_context(|| String::from_utf8_lossy(beginning).into_owned())?;
        assert!(begun.elapsed() > PATIENCE / 2, "it has its time");
    }
    Ok(())
}

#[tokio::test]
async fn a_preface_in_pieces_is_one() -> TestResult {
    let world = World::start(Duration::from_secs(30)).await?;
    let mut stream = world.connect().await?;
    stream.set_nodelay(true)?;
    for piece in PREFACE.chunks(5) {
        stream.write_all(piece).await?;
        tokio::task::yield_now().await;
    }
    stream.write_all(&EMPTY_SETTINGS).await?;
    let mut frame = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut frame)).await??;
    assert_eq!(frame[3], 4, "SETTINGS: {frame:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_head_is_not_waited_for() -> TestResult {
    let world = World::start(PATIENCE).await?;
    let mut stream = world.connect().await?;
    stream.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await?;
    drip(&mut stream).await?;
    // The second request of a connection has no more time than the first.
    let mut stream = world.connect().await?;
    stream.write_all(jwks(world.replica.http).as_bytes()).await?;
    read_until(&mut stream, "\"keys\"").await?;
    stream.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await?;
    drip(&mut stream).await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_body_is_told_so() -> TestResult {
    let world = World::start(PATIENCE).await?;
    let token = world.installation.admin()?;
    let mut stream = world.connect().await?;
    let head = format!(
        "POST /v1/random HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let answer = drip(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"REQUEST_TIMEOUT\""), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_http2_client_that_only_answers_pings_is_closed() -> TestResult {
    let world = World::start(PATIENCE).await?;
    let mut stream = world.connect().await?;
    stream.write_all(PREFACE).await?;
    stream.write_all(&EMPTY_SETTINGS).await?;
    let frames = timeout(DEADLINE, answer_pings(&mut stream)).await.context("it stays open")?;
    // RFC 9113, section 6.8: told that it is over, not just cut.
    assert!(frames.contains(&7), "GOAWAY: {frames:?}");
    Ok(())
}

/// Answers SETTINGS and PINGs until the connection ends, and returns the types of all frames.
async fn answer_pings(stream: &mut TcpStream) -> Vec<u8> {
    let mut types = Vec::new();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let [_, high, low, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        if stream.read_exact(&mut payload).await.is_err() {
            break;
        }
        types.push(kind);
        let is_ack = flags & 1 == 1;
        let answer = match kind {
            4 if !is_ack => vec![0, 0, 0, 4, 1, 0, 0, 0, 0],
            6 if !is_ack => [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &payload].concat(),
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            break;
        }
    }
    types
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_closed() -> TestResult {
    let world = World::start(PATIENCE).await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(world.replica.http).await?;
    let requests = jwks(world.replica.http).repeat(100);
    let writing = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(DEADLINE * 2, writing).await.context("it stays open")?;
    world.wait_open(0.0).await?;
    Ok(())
}

#[tokio::test]
async fn over_the_limit_of_connections_one_waits_for_a_place() -> TestResult {
    let world = World::start(Duration::from_secs(30)).await?;
    let mut guests = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut guest = world.connect().await?;
        guest.write_all(jwks(world.replica.http).as_bytes()).await?;
        read_until(&mut guest, "\"keys\"").await?;
        guests.push(guest);
    }
    let mut late = world.connect().await?;
    late.write_all(jwks(world.replica.http).as_bytes()).await?;
    let waiting = timeout(PATIENCE, late.readable()).await;
    assert!(waiting.is_err(), "all places are taken");
    assert_eq!(world.metric("rest_connections").await, Some(3.0));
    drop(guests.pop());
    read_until(&mut late, "\"keys\"").await?;
    Ok(())
}

#[tokio::test]
async fn silent_clients_do_not_keep_the_places() -> TestResult {
    let world = World::start(PATIENCE).await?;
    let mut silent = Vec::new();
    for beginning in ["", "PRI * HT", "PRI"] {
        let mut stream = world.connect().await?;
        stream.write_all(beginning.as_bytes()).await?;
        silent.push(stream);
    }
    let mut late = world.connect().await?;
    late.write_all(jwks(world.replica.http).as_bytes()).await?;
    read_until(&mut late, "\"keys\"").await?;
    Ok(())
}

#[tokio::test]
async fn a_request_under_way_is_answered_when_the_process_is_told_to_end() -> TestResult {
    let mut world = World::start(Duration::from_secs(30)).await?;
    let token = world.installation.admin()?;
    let mut stream = world.connect().await?;
    let body = "{\"size\": 16}";
    let head = format!(
        "POST /v1/random HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // It waits for the body.
    read_until(&mut stream, "100 Continue").await?;
    world.replica.process.terminate()?;
    wait_until("nobody is let in", DEADLINE, async || world.connect().await.is_err()).await?;
    stream.write_all(body.as_bytes()).await?;
    let answer = String::from_utf8(closed(&mut stream).await?)?;
    assert!(answer.contains("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(world.replica.process.wait_exit(DEADLINE).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn requests_and_what_is_refused_are_counted() -> TestResult {
    let world = World::start(PATIENCE).await?;
    assert_eq!(http::get(world.replica.http, "/.well-known/jwks.json", &[]).await?.status, 200);
    assert_eq!(http::get(world.replica.http, "/nowhere", &[]).await?.status, 404);
    assert_eq!(http::get(world.replica.http, "/v1/keys", &[]).await?.status, 401);
    assert_eq!(http::get(world.replica.http, "/v1/keys", &[]).await?.status, 401);
    assert_eq!(world.metric("rest_requests_total").await, Some(4.0));
    assert_eq!(world.metric("rest_refusals_total{status=\"404\"}").await, Some(1.0));
    assert_eq!(world.metric("rest_refusals_total{status=\"401\"}").await, Some(2.0));
    world.wait_open(0.0).await?;
    Ok(())
}
