//! Limits on connections, as strangers meet them.

use crate::relay;
use anyhow::Context;
use integration_tests::{camera::open_settings, report::report, verdict::TestResult};
use std::time::{Duration, Instant};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// One that says nothing has five seconds; it is closed long before when there are too many.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn one_more_silent_connection_over_tcp_than_allowed_closes_the_oldest() -> TestResult {
    let (relay, _folder) = relay(open_settings().set("media.max_tcp_connections", "2")).await?;
    let mut oldest = TcpStream::connect(relay.media).await?;
    let mut second = TcpStream::connect(relay.media).await?;
    let begun = Instant::now();
    let _third = TcpStream::connect(relay.media).await?;
    let mut nothing = [0; 1];
    let read = timeout(AT_ONCE, oldest.read(&mut nothing)).await.context("the oldest is still open")??;
    report(&format!("the oldest of three was closed after {:?}", begun.elapsed()));
    assert_eq!(read, 0);
    let still_open = timeout(Duration::from_millis(300), second.read(&mut nothing)).await.is_err();
    assert!(still_open, "the second was closed too");
    Ok(())
}
