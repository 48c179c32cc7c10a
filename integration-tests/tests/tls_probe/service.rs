//! The calls of crypto-service: who may probe what, how many at a time, and certificates that are brought.

use crate::authority::{Authority, NAME};
use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    InspectCertificatesRequest, ProbeFailure, ProbeRequest, StartTls, tls_client::TlsClient,
};
use patchbay_testkit::{http, wait::wait_until};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    replica: Crypto,
    installation: Installation,
    authority: Authority,
    _folder: TempDir,
}

impl World {
    async fn create(settings: Settings) -> Result<Self> {
        let (folder, authority) = (tempfile::tempdir()?, Authority::create()?);
        let settings = settings.set("tls_probe.roots_file", &authority.root().display());
        let installation = Installation::create(folder.path(), settings)?;
        let replica = installation.start("crypto").await?;
        Ok(Self { replica, installation, authority, _folder: folder })
    }

    fn client(&self, scopes: &[&str]) -> Result<TlsClient<Client>> {
        Ok(TlsClient::new(self.replica.client(&self.installation.keys.token("ada", scopes)?)?))
    }
}

/// Lets replicas probe this machine, and two servers at a time.
fn open() -> Settings {
    Settings::default()
        .set("tls_probe.egress.allow", r#"["127.0.0.0/8"]"#)
        .set("tls_probe.at_once", "2")
        .set("tls_probe.deadline", "20s")
}

fn to(host: impl Into<String>) -> ProbeRequest {
    ProbeRequest { host: host.into(), ..ProbeRequest::default() }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Takes connections and says nothing, so that probes last.
async fn silent() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[tokio::test]
async fn a_server_is_probed_for_those_who_may() -> TestResult {
    let world = World::create(open()).await?;
    let (closed, address) = silent().await?;
    drop(closed);
    let mut ada = world.client(&["tls:probe:127.0.0.*"])?;
    let answer = ada.probe(to(address.to_string())).await?.into_inner();
    assert!(answer.failure() == ProbeFailure::ConnectionRefused, "{}", answer.failure_message);
    assert_eq!((answer.host.as_str(), answer.port), ("127.0.0.1", u32::from(address.port())));
    assert!(!answer.failure_message.is_empty() && answer.grade.is_empty());
    let elsewhere = ada.probe(to("example.com")).await.err().context("not allowed")?;
    assert_eq!(
        (elsewhere.code(), reason(&elsewhere).as_str()),
        (Code::PermissionDenied, "PERMISSION_DENIED")
    );
    let by_name = ProbeRequest { server_name: "127.0.0.1".to_owned(), ..to("example.com") };
    let by_name = ada.probe(by_name).await.err().context("the host decides, not the name")?;
    assert_eq!(reason(&by_name), "PERMISSION_DENIED");
    let stranger =
        world.client(&["keys:use:*"])?.probe(to(address.to_string())).await.err().context("no scope")?;
    assert_eq!(stranger.code(), Code::PermissionDenied);
    Ok(())
}

#[tokio::test]
async fn a_real_server_is_told_of_in_all_its_parts() -> TestResult {
    let world = World::create(open()).await?;
    let server = crate::servers::good(&world.authority).await?;
    let request = ProbeRequest {
        server_name: NAME.to_owned(),
        start_tls: StartTls::None.into(),
        ..to(server.address.to_string())
    };
    let answer = world.client(&["tls:probe:*"])?.probe(request).await?.into_inner();
    let chain = answer.chain.context("it shows certificates")?;
    assert!(chain.is_trusted && chain.is_in_order, "{:?}", chain.problems);
    assert_eq!((answer.grade.as_str(), chain.root.as_str()), ("A", "CN=Root of tests"));
    assert_eq!(answer.protocols.iter().filter(|protocol| protocol.is_supported).count(), 2);
    assert!(answer.took.is_some() && answer.connections > 10 && answer.negotiated.is_some());
    Ok(())
}

#[tokio::test]
async fn addresses_that_are_not_of_the_internet_are_refused_with_the_key_that_allows_them() -> TestResult {
    let world = World::create(Settings::default()).await?;
    let mut client = world.client(&["tls:probe:*"])?;
    for host in
        ["127.0.0.1:443", "localhost", "[::1]:443", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]:8200"]
    {
        let refused = client.probe(to(host)).await.err().context("it must be refused")?;
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "ADDRESS_FORBIDDEN"),
            "{host}"
        );
        assert!(refused.message().contains("tls_probe.egress.allow"), "{host}: {}", refused.message());
    }
    let metrics = http::get(world.replica.ops, "/metrics", &[]).await?.body;
    assert!(
        metrics.contains(r#"patchbay_crypto_service_tls_probes_total{outcome="forbidden"} 6"#),
        "{metrics}"
    );
    Ok(())
}

#[tokio::test]
async fn more_probes_than_there_are_turns_are_refused_and_callers_that_leave_give_theirs_back() -> TestResult
{
    let world = World::create(open()).await?;
    let (listener, address) = silent().await?;
    let (mut probing, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut client = world.client(&["tls:probe:*"])?;
        probing.push(tokio::task::spawn(async move { client.probe(to(address.to_string())).await }));
        connections.push(timeout(PATIENCE, listener.accept()).await??);
    }
    let mut client = world.client(&["tls:probe:*"])?;
    let refused = client.probe(to("127.0.0.1:1")).await.err().context("two probes are under way")?;
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "BUSY"));
    for task in probing {
        task.abort();
    }
    let left = "there are turns again";
    let took = wait_until(left, PATIENCE, async || client.probe(to("127.0.0.1:1")).await.is_ok()).await?;
    // They would have waited four seconds for an answer.
    assert!(took < Duration::from_secs(3), "the probes of callers that left went on: {took:?}");
    Ok(())
}

#[tokio::test]
async fn requests_that_cannot_be_understood_say_which_field() -> TestResult {
    let world = World::create(open()).await?;
    let mut client = world.client(&["tls:probe:*"])?;
    let long = "a".repeat(300);
    let bad_protocol = ProbeRequest { start_tls: 99, ..to("example.com") };
    let bad_name = ProbeRequest { server_name: "a b".to_owned(), ..to("example.com") };
    for (request, field) in [
        (to(""), "host"),
        (to("exa mple.com"), "host"),
        (to("example.com:0"), "host"),
        (to("2130706433"), "host"),
        (to(&long), "host"),
        (bad_protocol, "start_tls"),
        (bad_name, "server_name"),
    ] {
        let refused = client.probe(request.clone()).await.err().context("it must be refused")?;
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "BAD_REQUEST"),
            "{request:?}"
        );
        let violations =
            refused.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert_eq!(violations.first().map(|violation| violation.field.as_str()), Some(field), "{request:?}");
    }
    Ok(())
}

#[tokio::test]
async fn certificates_that_are_brought_are_judged() -> TestResult {
    let world = World::create(open()).await?;
    let own = fs::read(world.authority.rsa("own")?.certificate)?;
    let chain = [own.clone(), fs::read(world.authority.intermediate())?].concat();
    let mut anybody = world.client(&[])?;
    let request = |certificates: &[u8], name: &str| InspectCertificatesRequest {
        certificates: certificates.to_vec().into(),
        server_name: name.to_owned(),
    };
    let whole =
        anybody.inspect_certificates(request(&chain, NAME)).await?.into_inner().chain.context("a chain")?;
    assert!(whole.is_trusted, "{:?}", whole.problems);
    assert_eq!((whole.certificates.len(), whole.root.as_str()), (2, "CN=Root of tests"));
    assert_eq!(whole.certificates[0].alternative_names, [NAME]);
    let other = anybody
        .inspect_certificates(request(&chain, "other.example.com"))
        .await?
        .into_inner()
        .chain
        .context("a chain")?;
    assert_eq!(
        other.problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>(),
        ["HOST_MISMATCH"]
    );
    let alone =
        anybody.inspect_certificates(request(&own, "")).await?.into_inner().chain.context("a chain")?;
    assert_eq!(alone.problems[0].code, "MISSING_INTERMEDIATE");
    for bad in [&b""[..], b"no certificate", &[0x30, 0x82], &vec![b'a'; 64 * 1024 + 1]] {
        let refused =
            anybody.inspect_certificates(request(bad, "")).await.err().context("it must be refused")?;
        assert_eq!(reason(&refused), "BAD_REQUEST");
    }
    let stranger = TlsClient::new(world.replica.stranger()?).inspect_certificates(request(&own, "")).await;
    assert_eq!(stranger.err().context("a token is needed")?.code(), Code::Unauthenticated);
    Ok(())
}

#[tokio::test]
async fn rest_has_the_same_doors() -> TestResult {
    let world = World::create(open()).await?;
    let token = world.installation.keys.token("ada", &["tls:probe:127.0.0.1"])?;
    let (closed, address) = silent().await?;
    drop(closed);
    let answer = post(&world.replica, "/v1/tls/probe", &token, &json!({"host": address.to_string()})).await?;
    assert_eq!(answer["failure"], "PROBE_FAILURE_CONNECTION_REFUSED", "{answer}");
    let elsewhere = post(&world.replica, "/v1/tls/probe", &token, &json!({"host": "127.0.0.2"})).await?;
    assert_eq!(elsewhere["error"]["reason"], "PERMISSION_DENIED", "{elsewhere}");
    let bad = post(&world.replica, "/v1/tls/inspect", &token, &json!({"certificates": "AAAA"})).await?;
    assert_eq!(bad["error"]["reason"], "BAD_REQUEST", "{bad}");
    Ok(())
}

async fn post(replica: &Crypto, path: &str, token: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(replica.http).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    serde_json::from_str(body).with_context(|| answer.clone())
}
