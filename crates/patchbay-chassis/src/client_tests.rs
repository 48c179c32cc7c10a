//! The balanced client against real servers on loopback.

use super::*;
use patchbay_auth::{KeyOwner, Signer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

async fn server() -> (SocketAddr, tokio::task::AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    let tasks = tokio_util::task::TaskTracker::new();
    let task = tasks.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, task.abort_handle())
}

/// An address where nobody listens, held so that nobody else gets it.
async fn dead_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn client(addresses: &[SocketAddr]) -> (watch::Sender<Replicas>, HealthClient<Client>) {
    let replicas = watch::Sender::new(Replicas::default());
    update(&replicas, &addresses.iter().copied().collect());
    let signer = Signer::generate(KeyOwner::Service("test".to_owned())).unwrap();
    let client = Client::new(replicas.subscribe(), ServiceTokens::new(signer, "test", Vec::new()));
    (replicas, HealthClient::new(client))
}

#[tokio::test]
async fn a_dead_address_that_is_still_listed_fails_no_call() {
    let (alive, _task) = server().await;
    let (_replicas, mut client) = client(&[alive, dead_address().await]);
    for _ in 0..20 {
        client.check(HealthCheckRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn calls_follow_the_addresses() {
    let ((first, task), (second, _other)) = (server().await, server().await);
    let (replicas, mut client) = client(&[first]);
    client.check(HealthCheckRequest::default()).await.unwrap();
    update(&replicas, &BTreeSet::from([second]));
    task.abort();
    for _ in 0..5 {
        client.check(HealthCheckRequest::default()).await.unwrap();
    }
    assert_eq!(replicas.borrow().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let (_replicas, mut client) = client(&[dead_address().await]);
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
}

#[test]
fn targets_name_host_and_port() {
    for (target, expected) in [
        ("http://chat-gateway:9101", Some("chat-gateway:9101")),
        ("dns://chat-gateway:9101/", Some("chat-gateway:9101")),
        ("http://[::1]:9101", Some("[::1]:9101")),
        ("http://chat-gateway", None),
        ("chat-gateway:9101", None),
        ("https://chat-gateway:9101", None),
    ] {
        assert_eq!(host_and_port(target).as_deref(), expected, "{target}");
    }
}
