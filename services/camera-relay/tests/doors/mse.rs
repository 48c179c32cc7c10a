//! The MSE door: fragmented MP4 over WebSocket, for those who cannot be reached by WebRTC.

use super::world::{OFFER, SOON, World, with_guests};
use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use patchbay_av::{PictureSize, Sound, TestSettings, TestSource};
use patchbay_media::hub::{Mode, StreamName};
use patchbay_testkit::wait::wait_until;
use serde_json::{Value, json};
use std::{process::Command, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::Instant, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Error, Message},
};

pub(crate) type Page<S = MaybeTlsStream<TcpStream>> = WebSocketStream<S>;

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Text(Value),
    Binary(Vec<u8>),
    Closed(u16, String),
}

pub(crate) async fn open(world: &World, path: &str) -> Result<Page> {
    Ok(timeout(SOON, connect_async(format!("ws://{}{path}", world.http))).await??.0)
}

pub(crate) async fn next<S>(page: &mut Page<S>) -> Result<Came>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let came = timeout(SOON, page.next()).await.context("nothing came in time")?;
        match came.context("the connection is gone")?? {
            Message::Text(text) => return Ok(Came::Text(serde_json::from_str(&text)?)),
            Message::Binary(bytes) => return Ok(Came::Binary(bytes.to_vec())),
            Message::Close(frame) => {
                let frame = frame.context("closed without a code")?;
                return Ok(Came::Closed(frame.code.into(), frame.reason.to_string()));
            }
            _ => {}
        }
    }
}

/// Says what a browser says.
pub(crate) async fn wish<S>(page: &mut Page<S>) -> Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let codecs = ["avc1.42e01f", "avc1.640029", "mp4a.40.2", "opus", "flac"];
    Ok(page.send(Message::text(json!({ "type": "mse", "codecs": codecs }).to_string())).await?)
}

/// The announcement, and the init segment after it.
pub(crate) async fn begin<S>(page: &mut Page<S>) -> Result<(String, Vec<u8>)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        match next(page).await? {
            Came::Text(text) if text["type"] == "mse" => {
                let mime = text["mime"].as_str().context("no mime")?.to_owned();
                let Came::Binary(init) = next(page).await? else { bail!("no init segment") };
                ensure!(init.get(4..8) == Some(b"ftyp"), "no init segment");
                return Ok((mime, init));
            }
            Came::Binary(_) => {}
            other => bail!("{other:?}"),
        }
    }
}

pub(crate) async fn fragment<S>(page: &mut Page<S>) -> Result<Vec<u8>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Came::Binary(fragment) = next(page).await? else { bail!("no fragment") };
    ensure!(fragment.get(4..8) == Some(b"moof"), "no fragment");
    Ok(fragment)
}

/// Base media decode time of the first track in a fragment (`tfdt`, version 1).
pub(crate) fn decode_time(fragment: &[u8]) -> u64 {
    let at = fragment.windows(4).position(|word| word == b"tfdt").expect("it has a time");
    u64::from_be_bytes(fragment[at + 8..at + 16].try_into().expect("eight bytes"))
}

/// Pictures and packets of sound that `ffprobe` counts in a file, decoded without a complaint.
pub(crate) fn judge(file: &[u8]) -> Result<(usize, usize)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recorded.mp4");
    std::fs::write(&path, file)?;
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=codec_type,nb_read_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(&path)
        .output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && complaints.is_empty(), "{complaints}");
    let text = String::from_utf8(output.stdout)?;
    let count = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or_default();
        line.trim_matches(',').parse().unwrap_or(0)
    };
    Ok((count("video"), count("audio")))
}

#[tokio::test]
async fn a_page_gets_pictures_and_sound_at_once() -> Result<()> {
    let world = World::start().await?;
    // Somebody who looks already: the camera runs, and a group of pictures is kept.
    let mut first = open(&world, "/ws/mse/test").await?;
    wish(&mut first).await?;
    begin(&mut first).await?;
    for _ in 0..40 {
        fragment(&mut first).await?;
    }
    let mut page = open(&world, "/ws/mse/test").await?;
    let asked = Instant::now();
    wish(&mut page).await?;
    let (mime, mut file) = begin(&mut page).await?;
    let opening = fragment(&mut page).await?;
    println!("{mime}: the first fragment came after {:?}, with {} bytes", asked.elapsed(), opening.len());
    assert!(mime.starts_with("video/mp4; codecs=\"avc1.") && mime.ends_with(",opus\""), "{mime}");
    assert!(judge(&[&file[..], &opening].concat())?.0 > 1, "the group that was kept came whole");
    let (mut last, mut sizes) = (decode_time(&opening), Vec::new());
    file.extend(opening);
    for _ in 0..60 {
        let fragment = fragment(&mut page).await?;
        assert!(decode_time(&fragment) > last);
        last = decode_time(&fragment);
        sizes.push(fragment.len());
        file.extend(fragment);
    }
    let (pictures, sounds) = judge(&file)?;
    println!("{pictures} pictures and {sounds} packets of sound in {} bytes", file.len());
    assert!(pictures > 60 && sounds > 60, "{pictures} pictures, {sounds} packets of sound");

    let viewers = world.viewers().await?;
    let kinds: Vec<_> = viewers.iter().map(|viewer| viewer["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["VIEWER_KIND_MSE", "VIEWER_KIND_MSE"]);
    assert!(viewers.iter().all(|viewer| viewer["connected"] == true), "{viewers:?}");
    assert_eq!(world.core.owners.count(), 1, "one capture for both");
    page.close(None).await?;
    drop(first);
    let took =
        wait_until("both have gone", SOON, async || world.viewers().await.is_ok_and(|all| all.is_empty()))
            .await?;
    println!("pages that had closed were gone after {took:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_and_closed() -> Result<()> {
    let world = World::start().await?;
    for (text, code, words) in [
        ("hello", "BAD_REQUEST", "no JSON object"),
        (r#"{"type":"offer","sdp":""}"#, "BAD_REQUEST", "send {\"type\":\"mse\""),
        (r#"{"type":"mse","codecs":"avc1"}"#, "BAD_REQUEST", "must be a list"),
        (r#"{"type":"mse","codecs":["vorbis"]}"#, "BAD_REQUEST", "none of the codecs"),
    ] {
        let mut page = open(&world, "/ws/mse/test").await?;
        page.send(Message::text(text)).await?;
        let Came::Text(error) = next(&mut page).await? else { bail!("no error for {text}") };
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}");
        assert!(error["message"].as_str().unwrap_or_default().contains(words), "{error}");
        assert!(matches!(next(&mut page).await?, Came::Closed(1008, _)), "{text}");
    }
    let mut page = open(&world, "/ws/mse/test").await?;
    page.send(Message::binary(vec![1, 2, 3])).await?;
    assert!(matches!(next(&mut page).await?, Came::Closed(1003, _)));
    assert!(world.viewers().await?.is_empty());

    let (all, other) = (world.token(&["media:view:*"])?, world.token(&["media:view:other"])?);
    for (path, status) in [
        ("/ws/mse/other".to_owned(), 401),
        (format!("/ws/mse/none?access_token={all}"), 404),
        (format!("/ws/mse/test?access_token={other}"), 403),
        ("/ws/mse/test?access_token=nonsense".to_owned(), 401),
    ] {
        let Err(Error::Http(refusal)) = connect_async(format!("ws://{}{path}", world.http)).await else {
            bail!("{path} came in");
        };
        assert_eq!(refusal.status(), status, "{path}");
    }
    assert_eq!(world.get("/ws/mse/test").await?.status, 426);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_camera_without_what_the_page_plays_is_told() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws/mse/test").await?;
    // There are encoders for H.264 and VP8, and of those the page takes none.
    page.send(Message::text(r#"{"type":"mse","codecs":["av01.0.04M.08"]}"#)).await?;
    let Came::Text(error) = next(&mut page).await? else { bail!("no error") };
    assert_eq!((&error["code"], &error["type"]), (&json!("NO_COMMON_CODEC"), &json!("error")), "{error}");
    assert!(matches!(next(&mut page).await?, Came::Closed(1008, _)));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_is_sent_away_is_told_why_and_a_stop_closes_with_1001() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws/mse/test").await?;
    wish(&mut page).await?;
    begin(&mut page).await?;
    let id = world.viewers().await?[0]["id"].as_str().unwrap_or_default().to_owned();
    let token = format!("Bearer {}", world.token(&["admin"])?);
    let kicked = world.ask("DELETE", &format!("/v1/viewers/{id}"), &[("authorization", &token)], "").await?;
    assert_eq!(kicked.status, 200);
    let error = loop {
        match next(&mut page).await? {
            Came::Text(error) => break error,
            Came::Binary(_) => {}
            Came::Closed(code, reason) => bail!("closed with {code} {reason}"),
        }
    };
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("KICKED"), &json!("an operator has ended the connection"))
    );
    assert!(matches!(next(&mut page).await?, Came::Closed(1000, _)));

    let mut looking = open(&world, "/ws/mse/test").await?;
    wish(&mut looking).await?;
    begin(&mut looking).await?;
    let ended = async {
        loop {
            if let Came::Closed(code, _) = next(&mut looking).await? {
                return Ok::<_, anyhow::Error>(code);
            }
        }
    };
    let (code, ()) = tokio::join!(ended, world.process.stop());
    assert_eq!(code?, 1001);
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_ends_its_page_and_no_other() -> Result<()> {
    let world = World::start().await?;
    let token = world.token(&["media:view:test"])?;
    let mut signed_in = open(&world, &format!("/ws/mse/test?access_token={token}")).await?;
    let mut guest = open(&world, "/ws/mse/test").await?;
    for page in [&mut signed_in, &mut guest] {
        wish(page).await?;
        begin(page).await?;
    }
    let now = world.core.context.clock.now_millis();
    world.core.context.auth.revoke(patchbay_auth::Revocation::subject("ada", now, now / 1000 + 3600));
    let code = loop {
        match next(&mut signed_in).await? {
            Came::Text(text) => assert_eq!(text["code"], "TOKEN_REVOKED", "{text}"),
            Came::Closed(code, _) => break code,
            Came::Binary(_) => {}
        }
    };
    assert_eq!(code, 1008);
    for _ in 0..10 {
        fragment(&mut guest).await?;
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn viewers_from_one_address_are_bounded_by_all_doors_together() -> Result<()> {
    let few = |flags| with_guests(flags).set("camera-relay.media.max_viewers_per_address", 2);
    let world = World::start_with(few).await?;
    // A page at this door, and one by WHEP, which takes no place at the WebSockets.
    let mut first = open(&world, "/ws/mse/test").await?;
    wish(&mut first).await?;
    begin(&mut first).await?;
    assert_eq!(world.post(OFFER).await?.status, 201);
    let mut second = open(&world, "/ws/mse/test").await?;
    wish(&mut second).await?;
    let Came::Text(error) = next(&mut second).await? else { bail!("no error") };
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("LIMIT")), "{error}");
    assert!(matches!(next(&mut second).await?, Came::Closed(1013, _)));
    fragment(&mut first).await?;
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_group_that_is_too_large_is_not_sent_and_a_key_frame_is_asked_for() -> Result<()> {
    let world =
        World::start_with(|flags| with_guests(flags).set("camera-relay.instant_start.max_frames", 5)).await?;
    let mut first = open(&world, "/ws/mse/test").await?;
    wish(&mut first).await?;
    begin(&mut first).await?;
    for _ in 0..40 {
        fragment(&mut first).await?;
    }
    let mut page = open(&world, "/ws/mse/test").await?;
    let asked = Instant::now();
    wish(&mut page).await?;
    let (_, init) = begin(&mut page).await?;
    let opening = fragment(&mut page).await?;
    let pictures = judge(&[&init[..], &opening].concat())?.0;
    println!("{pictures} pictures came first, after {:?}", asked.elapsed());
    assert!((1..=5).contains(&pictures), "{pictures} pictures");
    world.process.stop().await;
    Ok(())
}

pub(crate) fn source(settings: TestSettings) -> Result<Arc<TestSource>> {
    Ok(Arc::new(TestSource::new(settings, Arc::new(|| 0))?))
}

#[tokio::test]
async fn a_page_stays_when_the_source_is_another_one() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws/mse/test").await?;
    wish(&mut page).await?;
    let (before, mut file) = begin(&mut page).await?;
    let mut last = 0;
    for _ in 0..20 {
        let fragment = fragment(&mut page).await?;
        last = decode_time(&fragment);
        file.extend(fragment);
    }
    let name: StreamName = world.core.hub.states().first().context("a stream")?.name.clone();
    let silent =
        TestSettings { sound: Sound::None, ..TestSettings::new("silent", PictureSize::nearest(640, 480)) };
    world.core.hub.replace(&name, source(silent)?, Mode::OnDemand)?;
    let replaced = Instant::now();
    let (after, init) = begin(&mut page).await?;
    println!("from {before} to {after} in {:?}", replaced.elapsed());
    assert!(!after.contains("opus"), "{after}");
    let first = fragment(&mut page).await?;
    assert!(decode_time(&first) > last, "time goes on: {} after {last}", decode_time(&first));
    let mut again = init;
    again.extend(first);
    for _ in 0..20 {
        again.extend(fragment(&mut page).await?);
    }
    assert!(judge(&file)?.0 > 10 && judge(&again)?.0 > 10);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_page_may_ask_for_something_else() -> Result<()> {
    let world = World::start().await?;
    let mut page = open(&world, "/ws/mse/test").await?;
    wish(&mut page).await?;
    begin(&mut page).await?;
    let last = decode_time(&fragment(&mut page).await?);
    let viewer = world.viewers().await?[0]["id"].clone();
    page.send(Message::text(r#"{"type":"mse","codecs":["opus"]}"#)).await?;
    let (mime, mut file) = begin(&mut page).await?;
    assert_eq!(mime, "audio/mp4; codecs=\"opus\"");
    let first = fragment(&mut page).await?;
    // 90,000 ticks a second of pictures, 48,000 of sound.
    assert!(decode_time(&first) * 90 > last * 48, "time goes on");
    file.extend(first);
    for _ in 0..5 {
        file.extend(fragment(&mut page).await?);
    }
    let (pictures, sounds) = judge(&file)?;
    assert!(pictures == 0 && sounds >= 25, "{pictures} pictures, {sounds} packets of sound");
    assert_eq!(world.viewers().await?[0]["id"], viewer, "it is the same viewer");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_moved_on_and_holds_nobody_up() -> Result<()> {
    let world = World::start_with(|flags| {
        with_guests(flags)
            .set("camera-relay.mse.patience", "500ms")
            .set("camera-relay.mse.write_timeout", "60s")
    })
    .await?;
    let stream = TcpStream::connect(world.http).await?;
    let mut slow = client_async(format!("ws://{}/ws/mse/test", world.http), stream).await?.0;
    let mut quick = open(&world, "/ws/mse/test").await?;
    wish(&mut quick).await?;
    begin(&mut quick).await?;
    wish(&mut slow).await?;
    begin(&mut slow).await?;
    let grain = TestSettings {
        bitrate: Some(20_000_000),
        noise: 40,
        key_frame_interval: Duration::from_secs(1),
        sound: Sound::None,
        ..TestSettings::new("grain", PictureSize::nearest(640, 480))
    };
    let name: StreamName = world.core.hub.states().first().context("a stream")?.name.clone();
    world.core.hub.replace(&name, source(grain)?, Mode::OnDemand)?;
    begin(&mut quick).await?;

    let figures = async |name: &str| -> Result<Vec<u64>> {
        let figure = |viewer: &Value| viewer[name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(world.viewers().await?.iter().map(figure).collect())
    };
    // The quick one reads on while the other stands still for longer than it may be behind.
    let (mut stood, mut least, begun) = (Instant::now(), 0, Instant::now());
    while stood.elapsed() < Duration::from_secs(4) {
        fragment(&mut quick).await?;
        let now = figures("bytes_sent").await?.into_iter().min().unwrap_or(0);
        if now > least {
            (least, stood) = (now, Instant::now());
        }
        ensure!(begun.elapsed() < Duration::from_mins(1), "everything fits on the way: {least} bytes");
    }
    println!("the slow one stood at {least} bytes after {:?}", begun.elapsed());
    assert!(least < 1 << 20, "{least} bytes wait on the way");
    let resumed = Instant::now();
    let skips = loop {
        next(&mut slow).await?;
        let skips = figures("skips").await?;
        if skips.iter().any(|skips| *skips > 0) {
            break skips;
        }
        ensure!(resumed.elapsed() < Duration::from_secs(30), "it was not moved on");
    };
    println!("skips: {skips:?}, {:?} after it had read on", resumed.elapsed());
    assert_eq!(skips.iter().filter(|skips| **skips > 0).count(), 1, "the quick one was not moved");
    world.process.stop().await;
    Ok(())
}
