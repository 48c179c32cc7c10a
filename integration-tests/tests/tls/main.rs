//! TLS on every gateway, as operators and clients meet it: real processes, OpenSSL, curl and `WebSockets`.

mod suite;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use integration_tests::verdict::TestResult;
use patchbay_testkit::{
    process::Launch,
    wait::{wait_for, wait_until},
};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use suite::{Source, Suite, connect, curl, openssl, patchbay, shown, sign, websocket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// A changed certificate is to be served in 5 s.
const RELOAD: Duration = Duration::from_secs(15);

/// A handshake may take 10 s.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A message that is on its way comes within this.
const MESSAGE: Duration = Duration::from_secs(10);

/// The next message that is JSON of a type.
async fn next<S>(client: &mut WebSocketStream<S>, kind: &str) -> Result<Value>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wanted = async {
        loop {
            let message = client.next().await.context("the connection has ended")??;
            let Message::Text(text) = message else { continue };
            let value: Value = serde_json::from_str(&text)?;
            if value["type"] == kind {
                return Ok(value);
            }
        }
    };
    timeout(MESSAGE, wanted).await.with_context(|| format!("no {kind}"))?
}

/// Says something in the lobby and hears it.
async fn chat<S>(client: &mut WebSocketStream<S>, text: &str) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client.send(Message::text(json!({"type": "chat", "content": text}).to_string())).await?;
    while next(client, "chat").await?["content"] != text {}
    Ok(())
}

#[tokio::test]
async fn every_gateway_speaks_to_everybodys_clients() -> TestResult {
    let suite = Suite::start(tempfile::tempdir()?, &Source::Development).await?;
    let authority = suite.authority();
    for gateway in &suite.gateways {
        let (service, address) = (gateway.service, gateway.address);
        for version in ["-tls1_3", "-tls1_2"] {
            let (is_fine, told) = openssl(address, &authority, version)?;
            assert!(is_fine, "{service} {version}: {told}");
        }
        for version in ["-tls1_1", "-tls1"] {
            let (is_fine, told) = openssl(address, &authority, version)?;
            // The client would, and the server says that it does not.
            assert!(!is_fine && told.contains("SSL alert number"), "{service} {version}: {told}");
        }
        let url = format!("https://{address}{}", gateway.page);
        let (status, _) = curl(&authority, &[&url])?;
        let expected = if service == "chat-gateway" { 400..=426 } else { 200..=200 };
        assert!(expected.contains(&status), "{service} {status}");
        let (status, told) = curl(&authority, &[&url.replace("https", "http")])?;
        assert!(status == 400 && told.contains("https://"), "{service} {status} {told}");
        let counted =
            format!("patchbay_{}_tls_handshakes_total{{outcome=\"plain_http\"}}", service.replace('-', "_"));
        wait_until("who spoke plain HTTP is counted", MESSAGE, async || {
            suite.metric(&counted).await.is_ok_and(|count| count >= 1.0)
        })
        .await?;
        let (_, head) = curl(&authority, &["--head", &url])?;
        assert!(!head.to_lowercase().contains("strict-transport"), "not for a local authority: {head}");
    }
    let console = format!("https://{}", suite.address("console"));
    let chat = format!("wss://{}/ws", suite.address("chat-gateway"));
    let links = [console.clone(), chat, format!("{console}/#setup=")];
    wait_until("links say https", RELOAD, async || {
        let log = suite.process.log();
        links.iter().all(|link| log.contains(link))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn chat_and_cameras_come_through_directly_and_by_the_console() -> TestResult {
    let suite = Suite::start(tempfile::tempdir()?, &Source::Development).await?;
    let authority = suite.authority();
    let (console, relay) = (suite.address("console"), suite.address("camera-relay"));
    let mut direct = websocket(suite.address("chat-gateway"), "/", &authority).await?;
    let mut proxied = websocket(console, "/chat/", &authority).await?;
    next(&mut direct, "welcome").await?;
    next(&mut proxied, "welcome").await?;
    chat(&mut direct, "by the gateway").await?;
    chat(&mut proxied, "by the console").await?;
    while next(&mut direct, "chat").await?["content"] != "by the console" {}
    direct.close(None).await?;
    while let Some(Ok(_)) = timeout(MESSAGE, direct.next()).await? {}
    for (address, path) in [(relay, "/ws"), (console, "/camera/ws")] {
        let mut viewer = websocket(address, path, &authority).await?;
        let offer = json!({"type": "offer", "sdp": "no description"});
        viewer.send(Message::text(offer.to_string())).await?;
        next(&mut viewer, "error").await?;
    }
    for base in [format!("https://{relay}"), format!("https://{console}/camera")] {
        let (status, _) = curl(&authority, &[&format!("{base}/snapshot/test.jpg"), "--output", "/dev/null"])?;
        assert_eq!(status, 200, "{base}");
        let offer = ["--header", "content-type: application/sdp", "--data", "no description"];
        let whep = format!("{base}/whep/test");
        let (status, told) = curl(&authority, &[&[whep.as_str()], &offer[..]].concat())?;
        assert!((400..500).contains(&status) && status != 404, "{base}: {status} {told}");
    }
    let keys = format!("https://{console}/crypto/.well-known/jwks.json");
    let (status, body) = curl(&authority, &["--http2", &keys])?;
    assert!(status == 200 && body.contains("keys"), "{status} {body}");
    Ok(())
}

#[tokio::test]
async fn who_is_connected_is_told_when_the_process_stops() -> TestResult {
    let mut suite = Suite::start(tempfile::tempdir()?, &Source::Development).await?;
    let mut client = websocket(suite.address("chat-gateway"), "/", &suite.authority()).await?;
    chat(&mut client, "before").await?;
    // Neither a handshake that is not made nor a client that does not answer keeps the process.
    let _half = half_a_handshake(suite.address("chat-gateway")).await?;
    let _silent = websocket(suite.address("chat-gateway"), "/", &suite.authority()).await?;
    suite.process.terminate()?;
    let farewell = async {
        while let Some(message) = client.next().await {
            if let Message::Close(Some(frame)) = message? {
                return anyhow::Ok(u16::from(frame.code));
            }
        }
        anyhow::bail!("the connection ended without a word")
    };
    let code = timeout(MESSAGE, farewell).await??;
    let begun = Instant::now();
    assert_eq!(suite.process.wait_exit(RELOAD).await?, Some(0));
    println!("told {code}, ended {:?} later", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_are_open() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("authority");
    let source = sign(&data, &folder.path().join("first"))?;
    let Source::Files { certificate, key } = &source else { unreachable!() };
    let (certificate, key) = (certificate.clone(), key.clone());
    let authority = data.join("tls/ca.pem");
    let suite = Suite::start(folder, &source).await?;
    let (chat_gateway, first) = (suite.address("chat-gateway"), fs::read(&certificate)?);
    let mut old = websocket(chat_gateway, "/", &authority).await?;
    chat(&mut old, "before").await?;
    let before = shown(chat_gateway, &authority).await?;
    let (_, head) = curl(&authority, &["--head", &format!("https://{}", suite.address("console"))])?;
    assert!(head.contains("strict-transport-security: max-age=86400"), "{head}");

    fs::write(&certificate, "half a certifi")?;
    let failures = "patchbay_chat_gateway_tls_certificate_failures_total";
    let told = wait_until("a broken file is told", RELOAD, async || {
        suite.metric(failures).await.is_ok_and(|count| count >= 1.0)
    });
    let told = told.await?;
    assert_eq!(shown(chat_gateway, &authority).await?, before, "and the old one is served");
    fs::write(&certificate, first)?;

    let Source::Files { certificate: next_certificate, key: next_key } =
        sign(&data, &suite.folder.path().join("second"))?
    else {
        unreachable!()
    };
    fs::rename(next_key, key)?;
    fs::rename(next_certificate, &certificate)?;
    for gateway in &suite.gateways {
        let changed = wait_until("another certificate is shown", RELOAD, async || {
            shown(gateway.address, &authority).await.is_ok_and(|shown| shown != before)
        });
        println!("{}: another certificate after {:?}", gateway.service, changed.await?);
    }
    println!("a broken one was told after {told:?}");
    chat(&mut old, "after").await?;
    let expires = suite.metric("patchbay_chat_gateway_tls_certificate_expires_seconds").await?;
    assert!(expires > 1.7e9, "{expires}");
    Ok(())
}

/// The first bytes of a `ClientHello`, and no more.
async fn half_a_handshake(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).await?;
    Ok(stream)
}

async fn wait_cut(mut stream: TcpStream) -> Result<Duration> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let ended = timeout(HANDSHAKE, stream.read_to_end(&mut bytes)).await;
    ended.context("a slow handshake was not cut")?.or_else(|error| match error.kind() {
        std::io::ErrorKind::ConnectionReset => Ok(0),
        _ => Err(error),
    })?;
    Ok(begun.elapsed())
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_stop_nobody() -> TestResult {
    let suite = Suite::start(tempfile::tempdir()?, &Source::Development).await?;
    let authority = suite.authority();
    for service in ["chat-gateway", "camera-relay"] {
        let address = suite.address(service);
        let mut slow = Vec::new();
        for _ in 0..1000 {
            slow.push(half_a_handshake(address).await?);
        }
        let begun = Instant::now();
        drop(connect(address, &authority).await?);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{service}: {took:?}");
        let last = slow.pop().context("there are some")?;
        let cut = wait_cut(last).await?;
        println!("{service}: a handshake among a thousand took {took:?}, a slow one was cut after {cut:?}");
        drop(slow);
        let late = format!("patchbay_{}_tls_handshakes_total{{outcome=\"late\"}}", service.replace('-', "_"));
        assert!(suite.metric(&late).await? >= 1.0, "{service}");
    }
    Ok(())
}

#[tokio::test]
async fn the_echo_page_tells_of_the_connection() -> TestResult {
    let folder = tempfile::tempdir()?;
    let process = Launch::binary("patchbay", "echo", folder.path())?
        .arg("net")
        .arg("echo")
        .arg("tls")
        .arg("--listen")
        .arg("127.0.0.1:0")
        .arg("--data")
        .arg(folder.path())
        .arg("--host-name")
        .arg("echo.local")
        .start()?;
    let (url, _) = wait_for("the page is there", RELOAD, async || {
        let log = process.log();
        let (_, rest) = log.split_once("https://")?;
        Some(format!("https://{}/", rest.split_once('/')?.0))
    })
    .await?;
    let authority = folder.path().join("tls/ca.pem");
    assert!(process.log().contains(&authority.display().to_string()));
    let ask = |arguments: &[&str]| curl(&authority, &[&[url.as_str()], arguments].concat());
    let (_, text) = ask(&["--tlsv1.3"])?;
    assert!(text.contains("Version: TLS 1.3") && text.contains("TLS_AES_256_GCM_SHA384"), "{text}");
    let (_, text) = ask(&["--tls-max", "1.2", "--header", "accept-language: zh-CN"])?;
    assert!(text.contains("TLS 1.2") && text.contains("协议版本") && text.contains("ECDHE"), "{text}");
    let (_, json) = ask(&["--header", "accept: application/json"])?;
    let facts: Value = serde_json::from_str(&json)?;
    assert_eq!((&facts["version"], &facts["protocol"]), (&json!("TLS 1.3"), &json!("h2")), "{facts}");
    assert!(facts["group"].as_str().is_some_and(|group| !group.is_empty()), "{facts}");
    let (_, page) = ask(&["--header", "accept: text/html", "--header", "accept-language: zh"])?;
    assert!(page.contains("<title>您的 TLS 连接</title>"), "{page}");
    let port = url.trim_end_matches('/').rsplit(':').next().context("no port")?;
    let (name, here) = (format!("https://echo.local:{port}/"), format!("echo.local:{port}:127.0.0.1"));
    let (_, text) = curl(&authority, &[&name, "--resolve", &here])?;
    assert!(text.contains("Server name (SNI): echo.local"), "{text}");
    process.terminate()?;
    Ok(())
}

#[test]
fn certificates_are_signed_for_names_of_this_network_only() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, out) = (path("data"), path("out"));
    let sign = |name: &str| patchbay(&["tls", "certificate", "--name", name, "--out", &out, "--data", &data]);
    let refused = sign("example.org")?;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("example.org"), "{told}");
    assert!(!Path::new(&out).join("key.pem").exists());
    assert!(sign("example.local")?.status.success());
    let again = sign("example.local")?;
    assert!(!again.status.success(), "a key is never written over");
    fs::remove_file(Path::new(&out).join("key.pem"))?;
    assert!(!sign("example.local")?.status.success(), "nor is a certificate");
    assert!(!Path::new(&out).join("key.pem").exists(), "and no key is left that fits nothing");
    let verified = std::process::Command::new("openssl")
        .args(["verify", "-verify_hostname", "example.local", "-CAfile"])
        .arg(Path::new(&data).join("tls/ca.pem"))
        .arg(Path::new(&out).join("certificate.pem"))
        .output()?;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    Ok(())
}
