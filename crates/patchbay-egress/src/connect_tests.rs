use super::*;
use crate::config::EgressConfig;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

const GOAL: Duration = Duration::from_secs(5);

fn loopback_only() -> Guard {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    Guard::new(&EgressConfig { allow, ..EgressConfig::default() }, "probe.egress")
}

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port on which nobody listens: it was free a moment ago.
async fn silent_port() -> u16 {
    listener().await.1
}

#[tokio::test]
async fn a_forbidden_address_is_refused_with_the_key_that_would_allow_it() {
    let (_listener, port) = listener().await;
    let guard = Guard::new(&EgressConfig::default(), "probe.egress");
    for text in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"] {
        let error = guard.connect(&host(text), port, GOAL).await.unwrap_err();
        assert!(matches!(error, EgressError::Forbidden { .. }), "{text}: {error}");
        let words = error.to_string();
        assert!(words.contains("probe.egress.allow") && words.contains("loopback"), "{words}");
    }
}

#[tokio::test]
async fn a_name_is_reached_by_those_of_its_addresses_that_are_allowed() {
    let (_listener, port) = listener().await;
    let guard = loopback_only();
    let addresses = guard.resolve(&host("localhost"), port, GOAL).await.unwrap();
    assert_eq!(addresses, [SocketAddr::from(([127, 0, 0, 1], port))], "::1 is not allowed");
    let (_stream, address) = guard.connect(&host("localhost"), port, GOAL).await.unwrap();
    assert_eq!(address.port(), port);
}

#[tokio::test]
async fn addresses_from_elsewhere_are_checked_before_any_of_them_is_tried() {
    let (listener, port) = listener().await;
    let mixed = [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([169, 254, 169, 254], 80))];
    let error = loopback_only().connect_to(&mixed, GOAL).await.unwrap_err();
    assert!(matches!(error, EgressError::Forbidden { .. }), "{error}");
    let accepted = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(accepted.is_err(), "nobody may have come");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let port = silent_port().await;
    let refused = loopback_only().connect(&host("127.0.0.1"), port, GOAL).await.unwrap_err();
    assert!(matches!(refused, EgressError::Refused { address } if address.port() == port), "{refused}");

    let unknown = Guard::open().connect(&host("no-such-name.invalid"), 443, GOAL).await.unwrap_err();
    assert!(matches!(unknown, EgressError::NameNotFound { .. }), "{unknown}");

    let late = loopback_only().connect_to(&[SocketAddr::from(([127, 0, 0, 1], port))], Duration::ZERO).await;
    assert!(late.is_err());
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_refuses() {
    let (_listener, port) = listener().await;
    let addresses =
        [SocketAddr::from(([127, 0, 0, 1], silent_port().await)), SocketAddr::from(([127, 0, 0, 1], port))];
    let (_stream, address) = loopback_only().connect_to(&addresses, GOAL).await.unwrap();
    assert_eq!(address.port(), port);
}

#[tokio::test]
async fn a_listener_whose_queue_is_full_runs_into_the_deadline() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let guard = loopback_only();
    let mut held = Vec::new();
    let started = Instant::now();
    // The system drops further connections silently once the queue is full, after a few.
    let error = loop {
        match guard.connect_to(&[address], Duration::from_millis(300)).await {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
        assert!(held.len() < 64, "the queue never fills");
    };
    println!(
        "{} connections were queued; the next one gave up after {:?} in all",
        held.len(),
        started.elapsed()
    );
    assert!(
        matches!(error, EgressError::TimedOut { address: Some(tried), .. } if tried == address),
        "{error}"
    );
}
