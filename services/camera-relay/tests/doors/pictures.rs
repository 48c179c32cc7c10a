//! Snapshots and MJPEG over plain HTTP.

use super::world::{SOON, World, header, with_guests};
use anyhow::{Context as _, Result};
use patchbay_testkit::wait::wait_until;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const BOUNDARY: &[u8] = b"--patchbay-picture\r\n";

#[tokio::test]
async fn a_snapshot_is_a_jpeg() -> Result<()> {
    let world = World::start().await?;
    let begun = Instant::now();
    let jpeg = world.get("/snapshot/test.jpg?width=320").await?;
    println!("the first snapshot took {:?}", begun.elapsed());
    assert_eq!((jpeg.status, header(&jpeg, "content-type")), (200, Some("image/jpeg")), "{}", jpeg.head);
    assert_eq!(header(&jpeg, "cache-control"), Some("no-store"));
    for (path, status) in [
        ("/snapshot/test.jpg?width=15", 400),
        ("/snapshot/test.jpg?width=x", 400),
        ("/snapshot/test.png", 404),
        ("/snapshot/.jpg", 404),
        ("/snapshot/other.jpg", 401),
        ("/mjpeg/other", 401),
        ("/mjpeg/test?fps=0", 400),
        ("/mjpeg/test?fps=-1", 400),
    ] {
        assert_eq!(world.get(path).await?.status, status, "{path}");
    }
    let token = world.token(&["media:view:*"])?;
    assert_eq!(world.get(&format!("/snapshot/other.jpg?access_token={token}")).await?.status, 404);
    world.process.stop().await;
    Ok(())
}

async fn watch(world: &World, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(world.http).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", world.http).as_bytes()).await?;
    Ok(stream)
}

/// Reads until so many pictures have begun.
async fn pictures(stream: &mut TcpStream, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.windows(BOUNDARY.len()).filter(|window| *window == BOUNDARY).count() < count {
        let read = timeout(SOON, stream.read_buf(&mut bytes)).await.context("no picture in time")??;
        anyhow::ensure!(read > 0, "the stream has ended: {}", String::from_utf8_lossy(&bytes));
    }
    Ok(bytes)
}

#[tokio::test]
async fn pictures_come_one_after_the_other() -> Result<()> {
    let world =
        World::start_with(|flags| with_guests(flags).set("camera-relay.mjpeg.max_viewers", 2)).await?;
    let mut one = watch(&world, "/mjpeg/test?fps=5&width=160").await?;
    let bytes = pictures(&mut one, 3).await?;
    let head = String::from_utf8_lossy(&bytes);
    assert!(
        head.starts_with("HTTP/1.1 200")
            && head.contains("multipart/x-mixed-replace; boundary=patchbay-picture"),
        "{head}"
    );
    let begun = Instant::now();
    pictures(&mut one, 5).await?;
    let took = begun.elapsed();
    println!("five pictures at 5 a second took {took:?}");
    assert!(took > Duration::from_millis(600), "more than five pictures a second came: {took:?}");

    let viewers = world.viewers().await?;
    assert_eq!(viewers.len(), 1);
    assert_eq!(viewers[0]["kind"], "VIEWER_KIND_MJPEG", "{viewers:?}");
    let mut two = watch(&world, "/mjpeg/test").await?;
    pictures(&mut two, 1).await?;
    let full = world.get("/mjpeg/test").await?;
    assert_eq!((full.status, header(&full, "retry-after").is_some()), (503, true), "{}", full.body);
    drop((one, two));
    let took =
        wait_until("both have gone", SOON, async || world.viewers().await.is_ok_and(|all| all.is_empty()))
            .await?;
    println!("both had gone after {took:?}");
    world.process.stop().await;
    Ok(())
}
