//! Pages at the MSE door while their camera is away.

use super::{
    mse::{Came, Page, begin, decode_time, fragment, judge, next, open, source, wish},
    world::{SOON, World},
};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, future::BoxFuture};
use patchbay_av::{PictureSize, Sound, TestSettings};
use patchbay_media::{
    Codec, TrackId,
    hub::{Mode, Publisher, Reason, Source, SourceError, StreamName},
    track::{KeyFrames, TrackInfo},
};
use patchbay_testkit::wait::wait_until;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

/// Ticks a second of pictures.
const SECOND: u64 = 90_000;

/// A camera that cannot be captured.
struct Failing(SourceError);

impl Source for Failing {
    fn run(
        self: Arc<Self>,
        _: Publisher,
        _: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { Err(self.0.clone()) }.boxed()
    }
}

/// A camera that says what it would send, and is gone before it has sent anything.
struct Mute;

impl Source for Mute {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        _: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let track = TrackInfo {
                id: TrackId(0),
                codec: Codec::H264,
                clock_rate: 90_000,
                channels: 0,
                width: 320,
                height: 240,
                configuration: Bytes::new(),
                reordered: false,
            };
            let _writers = publisher.publish(vec![(track, KeyFrames::AsTheyCome)])?;
            // Long enough for everybody to have heard of its track.
            tokio::time::sleep(Duration::from_millis(300)).await;
            Err(SourceError::temporary("10.0.0.7 refuses the connection").because(Reason::Refused))
        }
        .boxed()
    }
}

fn put(world: &World, source: Arc<dyn Source>) -> Result<()> {
    let name: StreamName = world.core.hub.states().first().context("a stream")?.name.clone();
    Ok(world.core.hub.replace(&name, source, Mode::OnDemand)?)
}

fn away() -> Arc<Failing> {
    Arc::new(Failing(SourceError::temporary("10.0.0.7 refuses the connection").because(Reason::Refused)))
}

/// The camera that comes.
fn small() -> Result<Arc<dyn Source>> {
    let size = PictureSize::nearest(320, 240);
    Ok(source(TestSettings { sound: Sound::None, ..TestSettings::new("small", size) })?)
}

/// What comes next but for the reasons why the camera is away.
async fn shown(page: &mut Page) -> Result<Came> {
    loop {
        match next(page).await? {
            Came::Text(text) if text["type"] == "waiting" => {
                ensure!(text["message"] == "the camera cannot be reached", "{text}");
            }
            came => return Ok(came),
        }
    }
}

/// The next text; what is on the way comes before it.
async fn text(page: &mut Page) -> Result<Value> {
    loop {
        match next(page).await? {
            Came::Text(text) => return Ok(text),
            Came::Binary(_) => {}
            Came::Closed(code, reason) => bail!("closed with {code} {reason}"),
        }
    }
}

/// An init segment, and so many pictures of the slate.
async fn black(page: &mut Page, count: usize) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let Came::Text(text) = shown(page).await? else { bail!("no announcement") };
    let mime = text["mime"].as_str().unwrap_or_default();
    ensure!(mime.starts_with("video/mp4; codecs=\"avc1.") && !mime.contains(','), "{text}");
    let Came::Binary(init) = shown(page).await? else { bail!("no init segment") };
    let mut fragments = Vec::new();
    while fragments.len() < count {
        let Came::Binary(fragment) = shown(page).await? else { bail!("no fragment") };
        fragments.push(fragment);
    }
    Ok((init, fragments))
}

#[tokio::test]
async fn who_comes_while_the_camera_is_away_sees_black_and_then_the_camera() -> Result<()> {
    let world = World::start().await?;
    put(&world, away())?;
    let mut page = open(&world, "/ws/mse/test").await?;
    let begun = Instant::now();
    wish(&mut page).await?;
    let (init, fragments) = black(&mut page, 3).await?;
    println!("three black pictures after {:?}", begun.elapsed());
    let times: Vec<_> = fragments.iter().map(|fragment| decode_time(fragment)).collect();
    assert!(
        times.windows(2).all(|pair| (SECOND / 2..SECOND * 3).contains(&(pair[1] - pair[0]))),
        "{times:?}"
    );
    assert_eq!(judge(&[init, fragments.concat()].concat())?, (3, 0));
    let viewers = world.viewers().await?;
    let [viewer] = &*viewers else { bail!("{viewers:?}") };
    assert_eq!(
        (&viewer["kind"], &viewer["connected"]),
        (&json!("VIEWER_KIND_MSE"), &json!(true)),
        "{viewer}"
    );

    put(&world, small()?)?;
    let (_, mut file) = begin(&mut page).await?;
    let first = fragment(&mut page).await?;
    let (last, now) = (times.last().copied().unwrap_or_default(), decode_time(&first));
    assert!(now > last && now < last + SECOND * 5, "time goes on from {last} to {now}");
    file.extend(first);
    for _ in 0..10 {
        file.extend(fragment(&mut page).await?);
    }
    assert!(judge(&file)?.0 > 10);

    // What it has shown last stays when it is away again.
    put(&world, away())?;
    for _ in 0..3 {
        let told = text(&mut page).await?;
        assert_eq!(told["type"], "waiting", "{told}");
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_camera_that_never_brought_what_it_announced_is_black_too() -> Result<()> {
    let world = World::start().await?;
    put(&world, Arc::new(Mute))?;
    let mut page = open(&world, "/ws/mse/test").await?;
    let begun = Instant::now();
    wish(&mut page).await?;
    timeout(SOON, black(&mut page, 1)).await.context("no black")??;
    println!("black after {:?}", begun.elapsed());
    put(&world, small()?)?;
    begin(&mut page).await?;
    fragment(&mut page).await?;
    world.process.stop().await;
    Ok(())
}

/// Whether it is told to go, and not shown more pictures than there may be on the way.
async fn is_kicked(page: &mut Page) -> Result<bool> {
    for _ in 0..4 {
        if let Came::Text(text) = shown(page).await? {
            ensure!(text["code"] == "KICKED", "{text}");
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn who_sees_black_is_listed_counted_and_sent_away_like_others() -> Result<()> {
    let world = World::start().await?;
    put(&world, away())?;
    let mut pages = [open(&world, "/ws/mse/test").await?, open(&world, "/ws/mse/test").await?];
    for page in &mut pages {
        wish(page).await?;
        black(page, 1).await?;
    }
    let listed = world.viewers().await?;
    let ids: Vec<_> = listed.iter().filter_map(|viewer| viewer["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with(&world.core.context.node.to_string())));
    let token = format!("Bearer {}", world.token(&["admin"])?);
    let headers = [("authorization", token.as_str())];
    let camera = world.ask("GET", "/v1/cameras/test", &headers, "").await?;
    let camera: Value = serde_json::from_str(&camera.body)?;
    assert_eq!(camera["camera"]["status"]["viewers"], 2, "{camera}");
    let id = ids.first().copied().unwrap_or_default();
    assert_eq!(world.ask("DELETE", &format!("/v1/viewers/{id}"), &headers, "").await?.status, 200);
    let gone = async || world.viewers().await.is_ok_and(|viewers| viewers.len() == 1);
    wait_until("one has gone", SOON, gone).await?;
    let mut kicked = 0;
    for page in &mut pages {
        kicked += usize::from(is_kicked(page).await?);
    }
    assert_eq!(kicked, 1, "the other one sees on");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_only_a_change_can_mend_is_told_and_not_painted_black() -> Result<()> {
    let world = World::start().await?;
    put(&world, Arc::new(Failing(SourceError::permanent("wrong password").because(Reason::Unauthorized))))?;
    let mut page = open(&world, "/ws/mse/test").await?;
    // Each wish is answered, and nothing is sent in between.
    for _ in 0..3 {
        wish(&mut page).await?;
        let Came::Text(told) = next(&mut page).await? else { bail!("not told") };
        assert_eq!(told["message"], "the camera does not accept its login", "{told}");
    }
    put(&world, small()?)?;
    begin(&mut page).await?;
    fragment(&mut page).await?;
    page.send(Message::Close(None)).await?;
    world.process.stop().await;
    Ok(())
}
