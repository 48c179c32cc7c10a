//! A camera that takes its time to start, and viewers that do not wait for it.

use super::world::{OFFER, SOON, World, reason};
use anyhow::{Result, ensure};
use futures_util::{
    SinkExt,
    future::{BoxFuture, FutureExt},
};
use patchbay_media::hub::{Mode, Publisher, Source, SourceError, State, StreamName};
use patchbay_testkit::wait::wait_until;
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

/// Far less than the time that a camera is given to start.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A camera that brings no picture.
struct Slow;

impl Source for Slow {
    fn run(
        self: Arc<Self>,
        _: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            stop.cancelled().await;
            Ok(())
        }
        .boxed()
    }
}

async fn with_slow_camera() -> Result<(World, StreamName)> {
    let world = World::start().await?;
    let stream = StreamName::parse("camera/test")?;
    world.core.hub.replace(&stream, Arc::new(Slow), Mode::OnDemand)?;
    Ok((world, stream))
}

async fn until_viewers(world: &World, count: usize) -> Result<Duration> {
    let what = format!("there are {count} viewers");
    wait_until(&what, SOON, async || world.core.viewers.count() == count).await
}

#[tokio::test]
async fn a_page_that_goes_while_the_camera_starts_gives_its_place_back() -> Result<()> {
    let (world, _) = with_slow_camera().await?;
    let offer = serde_json::json!({ "type": "offer", "sdp": OFFER }).to_string();
    for farewell in ["a close frame", "none"] {
        let (mut page, _) = connect_async(format!("ws://{}/ws", world.http)).await?;
        page.send(Message::text(offer.as_str())).await?;
        until_viewers(&world, 1).await?;
        page.send(Message::text(r#"{"type":"ice","candidate":null}"#)).await?;
        if farewell == "a close frame" {
            page.send(Message::Close(None)).await?;
        }
        drop(page);
        let took = until_viewers(&world, 0).await?;
        println!("a page that went with {farewell} was gone after {took:?}");
        ensure!(took < AT_ONCE, "{took:?}");
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_given_up_while_the_camera_starts_gives_its_place_back() -> Result<()> {
    let (world, _) = with_slow_camera().await?;
    let mut request = TcpStream::connect(world.http).await?;
    let head = format!(
        "POST /whep/test HTTP/1.1\r\nhost: {}\r\ncontent-type: application/sdp\r\ncontent-length: {}\r\n\r\n{OFFER}",
        world.http,
        OFFER.len()
    );
    request.write_all(head.as_bytes()).await?;
    until_viewers(&world, 1).await?;
    drop(request);
    let took = until_viewers(&world, 0).await?;
    println!("a request that was given up was gone after {took:?}");
    ensure!(took < AT_ONCE, "{took:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_camera_that_is_removed_is_told_so() -> Result<()> {
    let (world, stream) = with_slow_camera().await?;
    let removing = async {
        until_viewers(&world, 1).await?;
        world.core.hub.remove(&stream);
        anyhow::Ok(())
    };
    let (answer, removed) = tokio::join!(world.post(OFFER), removing);
    removed?;
    let answer = answer?;
    assert_eq!((answer.status, reason(&answer).as_str()), (404, "NOT_FOUND"), "{}", answer.body);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_waits_for_pictures_of_a_camera_that_is_removed_is_told_so() -> Result<()> {
    for path in ["/snapshot/test.jpg", "/mjpeg/test"] {
        let (world, stream) = with_slow_camera().await?;
        let removing = async {
            let has_begun =
                async || world.core.hub.state(&stream).is_some_and(|stream| stream.state == State::Starting);
            wait_until("the camera starts", SOON, has_begun).await?;
            world.core.hub.remove(&stream);
            anyhow::Ok(())
        };
        let (answer, removed) = tokio::join!(world.get(path), removing);
        removed?;
        let answer = answer?;
        assert_eq!((answer.status, reason(&answer).as_str()), (404, "NOT_FOUND"), "{path}: {}", answer.body);
        world.process.stop().await;
    }
    Ok(())
}
