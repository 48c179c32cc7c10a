//! The gRPC server as a client meets it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Sample, options};
use patchbay_chassis::{Process, Suite};
use patchbay_proto::console::v1::{ListNodesRequest, overview_client::OverviewClient};
use patchbay_testkit::keys::Keys;
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

struct Bench {
    keys: Keys,
    process: Process,
    channel: Channel,
    _folder: tempfile::TempDir,
}

/// Starts the sample in this process, believing the given keys.
async fn start(keys: &Keys, folder: &Path) -> Process {
    let jwks = keys.jwks().to_str().unwrap();
    let data = folder.join("data");
    let environment = [
        ("PATCHBAY_OPS__LISTEN", "127.0.0.1:0"),
        ("PATCHBAY_GRPC__LISTEN", "127.0.0.1:0"),
        ("PATCHBAY_AUTH__JWKS_FILE", jwks),
        ("PATCHBAY_DATA__DIR", data.to_str().unwrap()),
        ("PATCHBAY_DRAIN__DELAY", "0s"),
        ("PATCHBAY_DRAIN__SPREAD", "0s"),
    ];
    let settings = Suite::single::<Sample>().load(&options(&environment)).unwrap();
    Process::start(settings).await.unwrap()
}

fn address(process: &Process, name: &str) -> SocketAddr {
    process.addresses().iter().find(|address| address.name == name).unwrap().address
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::create(folder.path()).unwrap();
    let process = start(&keys, folder.path()).await;
    let target = format!("http://{}", address(&process, "grpc"));
    let channel = Channel::from_shared(target).unwrap().connect().await.unwrap();
    Bench { keys, process, channel, _folder: folder }
}

impl Bench {
    async fn call(&self, scopes: Option<&[&str]>, headers: &[(&'static str, &str)]) -> Result<(), Status> {
        let mut request = Request::new(ListNodesRequest {});
        if let Some(scopes) = scopes {
            let token = self.keys.token("anna", scopes).unwrap();
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        OverviewClient::new(self.channel.clone()).list_nodes(request).await.map(drop)
    }
}

const ENOUGH: Option<&[&str]> = Some(&["console:read:overview"]);

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn denial_carries_details() {
    let bench = bench().await;
    let nobody = bench.call(None, &[]).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
    let domain = nobody.get_error_details().error_info().map(|info| info.domain.clone());
    assert_eq!(domain.as_deref(), Some("sample.patchbay"));
    let other = bench.call(Some(&["chat:publish:room/*"]), &[]).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied);
    assert!(!reason(&other).is_empty());
    bench.call(ENOUGH, &[]).await.unwrap();
}

#[tokio::test]
async fn a_panic_is_internal_and_tells_nothing() {
    let bench = bench().await;
    let status = bench.call(ENOUGH, &[("behaviour", "panic")]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert!(status.message().starts_with("internal error, id ") && !status.message().contains("hunter2"));
    bench.call(ENOUGH, &[]).await.expect("the connection lives on");
}

#[tokio::test]
async fn the_callers_deadline_holds() {
    let bench = bench().await;
    let begun = Instant::now();
    let status = bench.call(ENOUGH, &[("behaviour", "hang"), ("grpc-timeout", "50m")]).await.unwrap_err();
    // tonic's client watches the header too and may be first, with the code of its own time-out.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn health_is_open_and_follows_readiness() {
    let bench = bench().await;
    let mut health = HealthClient::new(bench.channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    drop(health);
    let (stopped, next) = tokio::join!(bench.process.stop(), watch.message());
    let () = stopped;
    assert_eq!(next.unwrap().unwrap().status(), ServingStatus::NotServing);
}

/// What the console's pages speak: grpc-web over HTTP/1.1, with the status in the head where there is no message.
#[tokio::test]
async fn browsers_speak_grpc_web() {
    let bench = bench().await;
    let token = bench.keys.token("anna", &["console:read:overview"]).unwrap();
    let call = async |authorization: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address(&bench.process, "grpc")).await.unwrap();
        let head = format!(
            "POST /patchbay.console.v1.Overview/ListNodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n{authorization}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[0; 5]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let refused = call("").await;
    assert!(refused.contains("grpc-status: 16") && refused.contains("grpc-status-details-bin"), "{refused}");
    let answered = call(&format!("Authorization: Bearer {token}\r\n")).await;
    assert!(answered.starts_with("HTTP/1.1 200") && answered.contains("grpc-status:0"), "{answered}");
}
