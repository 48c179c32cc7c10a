//! MSE on two replicas: which one a page is on does not matter.

use super::world::{Replica, SOON, World};
use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use tempfile::tempdir;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// A page that has asked for the test camera.
struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    async fn at(replica: &Replica, token: &str) -> Result<Self> {
        let address = format!("ws://{}/ws/mse/test?access_token={token}", replica.http);
        let mut page = timeout(SOON, connect_async(address)).await??.0;
        page.send(Message::text(r#"{"type":"mse","codecs":["avc1.42e01f","opus"]}"#)).await?;
        Ok(Self(page))
    }

    /// Reads so many fragments; the text before them, and their bytes.
    async fn fragments(&mut self, count: usize) -> Result<(String, usize)> {
        let (mut told, mut bytes, mut seen) = (String::new(), 0, 0);
        while seen < count {
            let came = timeout(SOON, self.0.next()).await.context("nothing came in time")?;
            match came.context("the connection is gone")?? {
                Message::Text(text) => told = text.to_string(),
                Message::Binary(binary) if binary.get(4..8) == Some(b"moof") => {
                    (bytes, seen) = (bytes + binary.len(), seen + 1);
                }
                Message::Binary(binary) => {
                    ensure!(binary.get(4..8) == Some(b"ftyp"), "neither init nor fragment");
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("{other:?}"),
            }
        }
        Ok((told, bytes))
    }
}

#[tokio::test]
async fn a_page_on_either_replica_sees_the_one_capture() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let token = world.token(&["media:view:test"])?;
    let mut here = Page::at(&world.one, &token).await?;
    here.fragments(10).await?;
    let begun = Instant::now();
    let mut there = Page::at(&world.other, &token).await?;
    let (told, _) = there.fragments(1).await?;
    println!("{told} and a fragment on the other replica after {:?}", begun.elapsed());
    let (near, far) = tokio::try_join!(here.fragments(40), there.fragments(40))?;
    println!("{} bytes here, {} bytes there", near.1, far.1);
    let captures = [&world.one, &world.other].map(|replica| replica.core.owners.count());
    assert_eq!(captures, [1, 0]);
    drop((here, there));
    world.stop().await
}
