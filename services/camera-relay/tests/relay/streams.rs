//! A camera watched on two replicas: one capture, whoever has it.

use super::world::{Replica, SOON, World, reason, test_camera, with};
use anyhow::{Context as _, Result, ensure};
use camera_relay::{cameras::stream_of, relay::METHOD};
use patchbay_av::{TimeCode, VideoDecoder};
use patchbay_backplane::{FencingToken, Name};
use patchbay_media::{
    AccessUnit,
    hub::{Subscription, Wanted},
    ring::{Reader, Start},
    track::Track,
};
use patchbay_proto::media::v1::{
    Open, SubscribeRequest, SubscribeResponse, relay_client::RelayClient,
    subscribe_request::Request as Asked, subscribe_response::Step,
};
use patchbay_testkit::wait::wait_until;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::tempdir;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

const CAMERA: &str = "test";

/// Bytes that may be under way to a subscriber.
const WINDOW: u32 = 16 * 1024;

/// Somebody who looks at a camera for as long as this is kept, whatever tracks it gets.
struct Looker {
    subscription: Subscription,
    track: Arc<Track>,
    reader: Reader<AccessUnit>,
    decoder: VideoDecoder,
}

impl Looker {
    async fn at(replica: &Replica) -> Result<Self> {
        let wanted = Wanted { audio: Vec::new(), ..Wanted::anything() };
        let mut subscription = replica.core.hub.subscribe(&stream_of(&CAMERA.parse()?), wanted)?;
        let track = timeout(SOON, subscription.tracks_or_failure()).await??.video.context("no pictures")?;
        let (reader, decoder) = (track.reader(Start::NewestKey), VideoDecoder::open(track.info())?);
        Ok(Self { subscription, track, reader, decoder })
    }

    /// The time code of the next picture that has one, of these tracks or of those that come after them.
    async fn picture(&mut self) -> Result<TimeCode> {
        let deadline = tokio::time::Instant::now() + 2 * SOON;
        loop {
            let unit = tokio::select! {
                biased;
                selected = self.subscription.tracks() => {
                    let Some(track) = selected?.video else { continue };
                    self.reader = track.reader(Start::NewestKey);
                    self.decoder = VideoDecoder::open(track.info())?;
                    self.track = track;
                    continue;
                }
                Ok(read) = self.reader.next() => read.entry.item.clone(),
                () = tokio::time::sleep_until(deadline) => anyhow::bail!("there is no picture"),
            };
            let pictures = self.decoder.decode(&unit)?;
            if let Some(code) = pictures.iter().find_map(|decoded| TimeCode::read(&decoded.picture)) {
                return Ok(code);
            }
        }
    }

    /// Pictures that were drawn after now.
    async fn see_on(&mut self, world: &World, count: usize) -> Result<()> {
        let now = world.one.core.context.clock.now_millis();
        let mut last = now;
        let mut seen = 0;
        while seen < count {
            let code = self.picture().await?;
            if code.unix_ms > now {
                ensure!(code.unix_ms >= last, "time goes back");
                last = code.unix_ms;
                seen += 1;
            }
        }
        Ok(())
    }
}

fn captures(replica: &Replica) -> usize {
    replica.core.owners.count()
}

fn lease() -> Name {
    Name::new("camera", "owner", CAMERA)
}

/// Who owns the camera, as its record on the backplane says.
async fn owner(world: &World) -> Result<Option<(String, u64)>> {
    let record = Name::new("camera", "owner-record", CAMERA);
    let Some(found) = world.one.core.context.backplane.get(&record).await? else { return Ok(None) };
    let Ok(read) = serde_json::from_slice::<serde_json::Value>(&found.value) else { return Ok(None) };
    let node = read["node"].as_str().context("no node")?.to_owned();
    Ok(Some((node, read["epoch"].as_u64().context("no epoch")?)))
}

#[tokio::test]
async fn two_replicas_that_are_watched_are_one_capture_and_one_encoder() -> Result<()> {
    let folder = tempdir()?;
    let short = |name: &str, flags: patchbay_chassis::config::Layer| {
        flags.set(&format!("{name}.cameras.linger"), "1s")
    };
    let world = World::start_with(folder.path(), &short).await?;
    let mut here = Looker::at(&world.one).await?;
    let begun = Instant::now();
    let mut there = Looker::at(&world.other).await?;
    there.picture().await?;
    println!("the other replica had its first picture after {:?}", begun.elapsed());
    tokio::try_join!(here.see_on(&world, 20), there.see_on(&world, 20))?;
    assert_eq!((captures(&world.one), captures(&world.other)), (1, 0));
    let camera = world.one.core.cameras.get(&CAMERA.parse()?)?;
    let took = wait_until("both know of one capture and one encoder", SOON, async || {
        [&world.one, &world.other].into_iter().all(|replica| {
            let (report, owner) = replica.core.report_of(&camera);
            (report.captures, report.encoders, owner) == (1, 1, world.one.core.context.node.to_string())
        })
    })
    .await?;
    println!("both told of one capture and one encoder after {took:?}");

    // A request for a key frame goes back to whoever captures; on its own the next one comes after two seconds.
    there.track.request_key_frame();
    let asked = Instant::now();
    let mut reader = there.track.reader(Start::NextKey);
    timeout(SOON, reader.next()).await??;
    println!("a key frame came {:?} after it was asked for on the other replica", asked.elapsed());
    let asked_for = wait_until("the owner was asked", SOON, async || here.track.key_requests().total() > 0);
    asked_for.await?;

    // The owner goes on as long as somebody watches anywhere, and no longer.
    drop(here);
    there.see_on(&world, 20).await?;
    assert_eq!((captures(&world.one), captures(&world.other)), (1, 0));
    drop(there);
    let took =
        wait_until("nothing is captured", SOON, async || captures(&world.one) + captures(&world.other) == 0)
            .await?;
    println!("nothing was captured any more after {took:?}");
    // Whoever comes next need not wait for a lease to expire.
    let begun = Instant::now();
    let _there = Looker::at(&world.other).await?;
    println!("the other replica captured by itself after {:?}", begun.elapsed());
    ensure!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((captures(&world.one), captures(&world.other)), (0, 1));
    world.stop().await
}

#[tokio::test]
async fn an_owner_without_its_lease_stops_and_viewers_stay() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let mut here = Looker::at(&world.one).await?;
    let mut there = Looker::at(&world.other).await?;
    tokio::try_join!(here.see_on(&world, 5), there.see_on(&world, 5))?;
    let (node, epoch) = owner(&world).await?.context("nobody owns it")?;
    assert_eq!(node, world.one.core.context.node.to_string());

    // A third takes the camera, as after the owner was away for longer than its lease holds.
    let backplane = Arc::clone(&world.one.core.context.backplane);
    assert!(backplane.release(&lease(), &node, FencingToken(epoch)).await?);
    let third = backplane.acquire(&lease(), "third", Duration::from_mins(1)).await?.context("it is free")?;
    let news = serde_json::json!({
        "camera": CAMERA,
        "owner": { "node": "third", "address": "127.0.0.1:1", "epoch": third.0 },
    });
    let told = Instant::now();
    backplane.publish(&Name::new("camera", "owners", "all"), news.to_string().into()).await?;
    wait_until("the owner stops", SOON, async || captures(&world.one) == 0).await?;
    println!("an owner that had lost its lease had stopped after {:?}", told.elapsed());
    ensure!(told.elapsed() < Duration::from_secs(1), "it took {:?}", told.elapsed());
    assert_eq!(captures(&world.other), 0);

    assert!(backplane.release(&lease(), "third", third).await?);
    let released = Instant::now();
    tokio::try_join!(here.see_on(&world, 20), there.see_on(&world, 20))?;
    println!("both saw pictures again {:?} after the lease was free", released.elapsed());
    assert_eq!(captures(&world.one) + captures(&world.other), 1);
    let (_, newer) = owner(&world).await?.context("nobody owns it")?;
    assert!(newer > third.0 && third.0 > epoch);
    world.stop().await
}

/// What a subscriber gets.
struct Subscribed {
    messages: Streaming<SubscribeResponse>,
    _requests: tokio::sync::mpsc::Sender<SubscribeRequest>,
}

async fn subscribe(
    replica: &Replica,
    token: Option<&str>,
    first: SubscribeRequest,
) -> Result<Subscribed, Status> {
    let (requests, sent) = tokio::sync::mpsc::channel(4);
    let _room = requests.try_send(first);
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", replica.core.context.grpc));
    // Little is sent ahead to somebody who does not read.
    let channel = channel.expect("an address").initial_stream_window_size(WINDOW).connect_lazy();
    let message = ReceiverStream::new(sent);
    let request = match token {
        Some(token) => with(token, message),
        None => Request::new(message),
    };
    let mut client = RelayClient::new(channel).max_decoding_message_size(17 * 1024 * 1024);
    let messages = client.subscribe(request).await?.into_inner();
    Ok(Subscribed { messages, _requests: requests })
}

fn open(open: Open) -> SubscribeRequest {
    SubscribeRequest { request: Some(Asked::Open(open)) }
}

fn stream(stream: &str) -> Open {
    Open { stream: stream.to_owned(), ..Open::default() }
}

impl Subscribed {
    async fn next(&mut self) -> Result<SubscribeResponse> {
        timeout(SOON, self.messages.message()).await??.context("the stream has ended")
    }

    /// Codecs of the tracks, which come first.
    async fn codecs(&mut self) -> Result<Vec<String>> {
        loop {
            match self.next().await?.step {
                Some(Step::Tracks(tracks)) => {
                    return Ok(tracks.tracks.into_iter().map(|track| track.codec).collect());
                }
                Some(Step::Unit(_)) => anyhow::bail!("units come after tracks"),
                Some(Step::Failure(failure)) => anyhow::bail!("{failure:?}"),
                None => {}
            }
        }
    }
}

#[tokio::test]
async fn streams_are_given_to_whoever_may_have_them() -> Result<()> {
    let folder = tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let token = world.token(&["media:relay:camera/*"])?;
    let refused = async |token: Option<&str>, first: SubscribeRequest| {
        let answer = subscribe(&world.one, token, first).await;
        reason(answer.map(|_| ()))
    };
    let idle = || open(stream("camera/test"));
    assert_eq!(METHOD, "/patchbay.media.v1.Relay/Subscribe");
    assert_eq!(refused(None, idle()).await, "TOKEN_MISSING");
    let others = world.token(&["media:read:*", "media:write:*", "media:view:*"])?;
    assert_eq!(refused(Some(&others), idle()).await, "PERMISSION_DENIED");
    let narrow = world.token(&["media:relay:camera/yard"])?;
    assert_eq!(refused(Some(&narrow), idle()).await, "PERMISSION_DENIED");
    let short = world.token(&["media:relay:test"])?;
    assert_eq!(refused(Some(&short), idle()).await, "PERMISSION_DENIED", "a scope names the whole stream");
    assert_eq!(refused(Some(&token), idle()).await, "NOT_OWNER");
    assert_eq!(refused(Some(&token), open(stream("camera/none"))).await, "NOT_FOUND");
    for bad in [
        SubscribeRequest::default(),
        SubscribeRequest { request: Some(Asked::KeyFrame(0)) },
        open(stream("")),
        open(stream("camera/../test")),
        open(Open { video_codecs: vec!["H999".into()], ..stream("camera/test") }),
        open(Open { audio_codecs: vec!["opus".into(); 17], ..stream("camera/test") }),
    ] {
        assert_eq!(refused(Some(&token), bad.clone()).await, "BAD_REQUEST", "{bad:?}");
    }

    let _here = Looker::at(&world.one).await?;
    let took =
        wait_until("the owner is known", SOON, async || owner(&world).await.is_ok_and(|it| it.is_some()));
    took.await?;
    let (_, epoch) = owner(&world).await?.context("nobody owns it")?;
    let known = |epoch| open(Open { epoch, ..stream("camera/test") });
    assert_eq!(refused(Some(&token), known(epoch - 1)).await, "NOT_OWNER");
    assert_eq!(refused(Some(&token), known(epoch + 1)).await, "NOT_OWNER");
    let mut known = subscribe(&world.one, Some(&token), known(epoch)).await?;
    assert_eq!(known.codecs().await?, ["H264", "opus"]);

    // A camera that goes ends its streams.
    let write = world.token(&["media:write:*"])?;
    super::world::add(&mut world.one, &write, test_camera("yard")).await?;
    let yard = stream_of(&"yard".parse()?);
    let mut looker = world.one.core.hub.subscribe(&yard, Wanted::anything())?;
    timeout(SOON, looker.tracks()).await??;
    let mut gone = subscribe(&world.one, Some(&token), open(stream("camera/yard"))).await?;
    gone.codecs().await?;
    let request = patchbay_proto::camera::v1::RemoveCameraRequest { name: "yard".into() };
    world.one.client.remove_camera(with(&write, request)).await?;
    let status = loop {
        match timeout(SOON, gone.messages.message()).await? {
            Ok(message) => ensure!(message.is_some(), "it ends with a reason"),
            Err(status) => break status,
        }
    };
    assert!(matches!(status.code(), Code::NotFound | Code::FailedPrecondition), "{status:?}");
    assert!(status.get_error_details().error_info().is_some());
    drop((known, gone));
    world.stop().await
}

#[tokio::test]
async fn what_is_made_for_two_subscribers_is_made_once_by_the_owner() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let token = world.token(&["media:relay:*"])?;
    let _here = Looker::at(&world.one).await?;
    let (video_codecs, audio_codecs) = (vec!["VP8".to_owned()], vec!["AAC".to_owned()]);
    let wish = open(Open { video_codecs, audio_codecs, ..stream("camera/test") });
    let mut first = subscribe(&world.one, Some(&token), wish.clone()).await?;
    let mut second = subscribe(&world.one, Some(&token), wish).await?;
    for subscribed in [&mut first, &mut second] {
        assert_eq!(subscribed.codecs().await?, ["VP8", "AAC"]);
        // Each is number 0 of what its transcoder makes, and known here by its place.
        let mut first_of = [None, None];
        while let [None, _] | [_, None] = first_of {
            let Some(Step::Unit(unit)) = subscribed.next().await?.step else { continue };
            assert!(!unit.after_break && unit.track < 2, "{}", unit.track);
            let place = usize::try_from(unit.track)?;
            first_of[place].get_or_insert(unit.key);
        }
        assert_eq!(first_of, [Some(true), Some(true)], "decoding can start at the first unit of each");
    }
    let state = world.one.core.hub.state(&stream_of(&CAMERA.parse()?)).context("it is there")?;
    assert_eq!(state.encoders, 2, "one for pictures, one for sound");
    drop((first, second));
    world.stop().await
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_goes_on_at_a_newer_key_frame() -> Result<()> {
    let folder = tempdir()?;
    let world = World::start(folder.path()).await?;
    let token = world.token(&["media:relay:*"])?;
    let here = Looker::at(&world.one).await?;
    let mut slow = subscribe(&world.one, Some(&token), open(stream("camera/test"))).await?;
    slow.codecs().await?;
    let (ring, from) = (here.track.ring(), here.track.ring().written());
    // At 30 pictures a second: far more than is sent ahead, and than the patience of the sender.
    wait_until("8 s of pictures are written", 3 * SOON, async || ring.written() > from + 240).await?;
    let mut before = 0;
    let unit = loop {
        let Some(Step::Unit(unit)) = slow.next().await?.step else { continue };
        if unit.track == 0 && unit.after_break {
            break unit;
        }
        before += 1;
        ensure!(before < 1000, "nothing was left out");
    };
    println!("{before} units came before the break");
    assert!(unit.key, "what follows can be decoded");
    drop(slow);
    world.stop().await
}
