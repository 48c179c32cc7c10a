use super::{
    testing::{Act, Script, audio, browser, hub, hub_with, name, until, video},
    *,
};
use crate::{Codec, ring::Start};
use proptest::prelude::*;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

fn h264() -> Vec<(crate::track::TrackInfo, crate::track::KeyFrames)> {
    vec![video(Codec::H264)]
}

fn camera(hub: &Hub, source: &Arc<Script>) -> StreamName {
    let name = name("camera/door");
    hub.add(name.clone(), Arc::clone(source) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    name
}

fn state(hub: &Hub, name: &StreamName) -> State {
    hub.state(name).unwrap().state
}

#[tokio::test(start_paused = true)]
async fn fifty_consumers_start_one_source_and_read_the_same_track() {
    let (hub, source) = (hub(), Script::playing(vec![video(Codec::H264), audio(Codec::Opus)]));
    let name = camera(&hub, &source);
    assert_eq!((source.runs(), state(&hub, &name)), (0, State::Idle));
    let mut subscriptions: Vec<_> = (0..50).map(|_| hub.subscribe(&name, browser()).unwrap()).collect();
    let mut tracks = Vec::new();
    for subscription in &mut subscriptions {
        tracks.push(subscription.tracks().await.unwrap());
    }
    let first = tracks[0].video.as_ref().unwrap();
    assert!(tracks.iter().all(|selected| Arc::ptr_eq(selected.video.as_ref().unwrap(), first)));
    assert_eq!(
        tracks[0].how,
        [
            How::AsItCame { kind: crate::Kind::Video, codec: Codec::H264 },
            How::AsItCame { kind: crate::Kind::Audio, codec: Codec::Opus }
        ]
    );
    let unit = first.reader(Start::NewestKey).next().await.unwrap();
    assert!(unit.entry.item.key);
    let seen = hub.state(&name).unwrap();
    assert_eq!((source.runs(), seen.starts, seen.consumers, seen.state), (1, 1, 50, State::Live));
    assert_eq!(seen.tracks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_source_lingers_after_the_last_consumer_and_is_stopped_then() {
    let (hub, source) = (hub(), Script::playing(h264()));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let track = subscription.tracks().await.unwrap().video.unwrap();
    drop(subscription);
    sleep(9 * SECOND).await;
    assert_eq!((source.running(), state(&hub, &name)), (1, State::Lingering));
    // Who comes back in time finds everything as it was.
    let mut again = hub.subscribe(&name, browser()).unwrap();
    assert!(Arc::ptr_eq(&again.tracks().await.unwrap().video.unwrap(), &track));
    sleep(20 * SECOND).await;
    assert_eq!((source.runs(), source.running(), state(&hub, &name)), (1, 1, State::Live));
    drop(again);
    let left = Instant::now();
    until("the source is stopped", || source.running() == 0).await;
    assert!((9.9..10.6).contains(&left.elapsed().as_secs_f64()), "{:?}", left.elapsed());
    until("the stream is idle", || state(&hub, &name) == State::Idle).await;
    assert!(track.ring().has_ended());
    assert!(hub.state(&name).unwrap().tracks.is_empty());
    assert!(hub.figures(&name).is_empty());
}

#[tokio::test(start_paused = true)]
async fn consumers_get_the_tracks_of_a_source_that_comes_back() {
    let act = |run| if run == 1 { Act::PlayFor(15 * SECOND, h264()) } else { Act::Play(h264()) };
    let (hub, source) = (hub(), Script::new(act));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let first = subscription.tracks().await.unwrap().video.unwrap();
    let mut reader = first.reader(Start::NewestKey);
    while reader.next().await.is_ok() {}
    let lost = Instant::now();
    let second = subscription.tracks().await.unwrap().video.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(lost.elapsed() < Duration::from_millis(1100), "{:?}", lost.elapsed());
    assert_eq!(hub.state(&name).unwrap().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_recovered_begins_with_the_shortest_wait_again() {
    let (hub, source) = (hub(), Script::new(|_| Act::PlayFor(11 * SECOND, h264())));
    let name = camera(&hub, &source);
    let _subscription = hub.subscribe(&name, browser()).unwrap();
    until("five runs", || source.runs() == 5).await;
    let starts = source.starts.lock().clone();
    let gaps: Vec<_> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64().round()).collect();
    assert_eq!(gaps, [12.0; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_start_in_time_is_an_error_that_says_so() {
    let (hub, source) = (hub(), Script::new(|_| Act::Hang));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let begun = Instant::now();
    let error = subscription.tracks_or_failure().await.unwrap_err();
    assert_eq!(error.to_string(), "the source did not start within 10 s");
    assert_eq!(begun.elapsed().as_secs(), 10);
    until("it is stopped", || source.running() == 0).await;
    let seen = hub.state(&name).unwrap();
    assert_eq!((seen.state, seen.detail.as_str()), (State::Failed, "the source did not start within 10 s"));
    // Each failure is told once; the subscription goes on.
    subscription.tracks_or_failure().await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_stop_is_dropped() {
    let (hub, source) = (hub(), Script::new(|_| Act::Stuck));
    let name = camera(&hub, &source);
    drop(hub.subscribe(&name, browser()).unwrap());
    until("it is given up", || source.runs() == 0 || source.running() == 0).await;
    let _subscription = hub.subscribe(&name, browser()).unwrap();
    until("it runs", || source.running() == 1).await;
    hub.remove(&name);
    let begun = Instant::now();
    until("it is dropped", || source.running() == 0).await;
    assert!((1.9..2.6).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_like_others_and_its_words_are_not_told() {
    let act = |run| if run == 1 { Act::Panic } else { Act::Play(h264()) };
    let (hub, source) = (hub(), Script::new(act));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let error = subscription.tracks_or_failure().await.unwrap_err().to_string();
    assert!(error.contains("failed unexpectedly") && !error.contains("luck"), "{error}");
    assert!(subscription.tracks().await.unwrap().video.is_some());
    assert_eq!(source.running(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_by_itself_is_started_again() {
    let act = |run| if run == 1 { Act::End } else { Act::Play(h264()) };
    let (hub, source) = (hub(), Script::new(act));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    assert_eq!(subscription.tracks_or_failure().await.unwrap_err().to_string(), "the source has ended");
    assert!(subscription.tracks().await.unwrap().video.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_always_on_runs_without_consumers() {
    let act = |run| if run == 1 { Act::Fail(SourceError::temporary("busy")) } else { Act::Play(h264()) };
    let (hub, source) = (hub(), Script::new(act));
    let name = name("camera/door");
    hub.add(name.clone(), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    until("it is live after a failure", || state(&hub, &name) == State::Live).await;
    drop(hub.subscribe(&name, browser()).unwrap());
    sleep(60 * SECOND).await;
    assert_eq!((source.runs(), source.running()), (2, 1));
    hub.set_mode(&name, Mode::OnDemand).unwrap();
    until("it is idle", || state(&hub, &name) == State::Idle).await;
    assert_eq!((source.runs(), source.running()), (2, 0));
    hub.set_mode(&name, Mode::AlwaysOn).unwrap();
    until("it is live again", || state(&hub, &name) == State::Live).await;
}

#[tokio::test(start_paused = true)]
async fn consumers_of_a_replaced_source_get_the_tracks_of_the_new_one() {
    let (hub, old) = (hub(), Script::playing(h264()));
    let name = camera(&hub, &old);
    let mut subscription = hub.subscribe(&name, Wanted::anything()).unwrap();
    subscription.tracks().await.unwrap();
    let new = Script::playing(vec![video(Codec::Vp8)]);
    hub.replace(&name, Arc::clone(&new) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    let track = timeout(SECOND, subscription.tracks()).await.unwrap().unwrap().video.unwrap();
    assert_eq!(track.info().codec, Codec::Vp8);
    assert_eq!((old.running(), new.running(), hub.state(&name).unwrap().consumers), (0, 1, 1));
    let unknown = hub.replace(&super::testing::name("camera/none"), new, Mode::OnDemand);
    assert_eq!(unknown.unwrap_err().to_string(), "there is no stream camera/none");
}

/// Publishes, and does not stop.
struct Stubborn;

impl Source for Stubborn {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        _: CancellationToken,
    ) -> futures_util::future::BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let _writers = publisher.publish(h264())?;
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_a_replacement_gets_nothing_of_before_however_slowly_that_stops() {
    let (hub, name) = (hub(), name("camera/stubborn"));
    hub.add(name.clone(), Arc::new(Stubborn), Mode::AlwaysOn).unwrap();
    let mut before = hub.subscribe(&name, Wanted::anything()).unwrap();
    before.tracks().await.unwrap();
    let new = Script::playing(vec![video(Codec::Vp8)]);
    hub.replace(&name, Arc::clone(&new) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(new.running(), 0, "the old one has not stopped yet");
    let mut after = hub.subscribe(&name, Wanted::anything()).unwrap();
    let track = timeout(10 * SECOND, after.tracks()).await.unwrap().unwrap().video.unwrap();
    assert_eq!(track.info().codec, Codec::Vp8);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_source_is_tried_at_once_after_a_failure() {
    let (hub, old) = (hub(), Script::new(|_| Act::Fail(SourceError::permanent("there is no such file"))));
    let name = camera(&hub, &old);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    subscription.tracks_or_failure().await.unwrap_err();
    let begun = Instant::now();
    hub.replace(&name, Script::playing(h264()), Mode::OnDemand).unwrap();
    subscription.tracks_or_failure().await.unwrap();
    assert!(begun.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn removing_a_stream_ends_its_subscriptions_and_its_source() {
    let (hub, source) = (hub(), Script::playing(h264()));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    subscription.tracks().await.unwrap();
    let (ended, removed) = tokio::join!(subscription.tracks(), async { hub.remove(&name) });
    assert_eq!((ended.unwrap_err(), removed), (Ended::Removed, true));
    until("the source is stopped", || source.running() == 0).await;
    assert!(!hub.remove(&name));
    assert!(matches!(hub.subscribe(&name, browser()), Err(SubscribeError::NotFound(_))));
    assert!(hub.state(&name).is_none());
    // The name is free again, and the old subscription stays with what is gone.
    camera(&hub, &source);
    assert_eq!(subscription.tracks().await.unwrap_err(), Ended::Removed);
}

#[tokio::test(start_paused = true)]
async fn a_closed_hub_ends_everything_and_takes_nothing_more() {
    let (hub, source) = (hub(), Script::playing(h264()));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    subscription.tracks().await.unwrap();
    hub.close();
    assert_eq!(subscription.tracks().await.unwrap_err(), Ended::Closed);
    until("the source is stopped", || source.running() == 0).await;
    assert_eq!(hub.subscribe(&name, browser()).unwrap_err(), SubscribeError::Closed);
    assert_eq!(hub.add(name, source, Mode::OnDemand).unwrap_err(), AddError::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_dropped_stops_its_sources() {
    let (hub, source) = (hub(), Script::playing(h264()));
    hub.add(name("a"), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    until("it runs", || source.running() == 1).await;
    drop(hub);
    until("it is stopped", || source.running() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_without_pictures_for_a_while_is_stalled_until_they_come() {
    let (hub, source) = (hub(), Script::new(|_| Act::PauseThenPlay(8 * SECOND, h264())));
    let name = camera(&hub, &source);
    let mut seen = hub.watch(&name).unwrap();
    let _subscription = hub.subscribe(&name, browser()).unwrap();
    for expected in [State::Live, State::Stalled, State::Live] {
        let state =
            timeout(60 * SECOND, seen.wait_for(|seen| seen.state == expected)).await.unwrap().unwrap();
        assert_eq!(state.detail.is_empty(), expected != State::Stalled, "{}", state.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn figures_are_measured_while_it_plays() {
    let (hub, source) = (hub(), Script::playing(vec![video(Codec::H264), audio(Codec::Opus)]));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    subscription.tracks().await.unwrap().video.unwrap().request_key_frame();
    sleep(10 * SECOND).await;
    let figures = hub.figures(&name);
    assert_eq!(figures.len(), 2);
    let video = &figures[0].figures;
    assert!((video.rate - 25.0).abs() < 1.0, "{}", video.rate);
    assert!(video.bitrate.abs_diff(200_000) < 10_000, "{}", video.bitrate);
    assert_eq!((video.key_frame_interval, video.key_frame_requests), (Some(SECOND), 1));
    assert_eq!(figures[1].codec, Codec::Opus);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_over_cannot_publish() {
    let (hub, source) = (hub(), Script::new(|run| if run == 1 { Act::End } else { Act::Hang }));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    until("the second run", || source.runs() == 2).await;
    let (late, on) = {
        let publishers = source.publishers.lock();
        (publishers[0].clone(), publishers[1].clone())
    };
    late.publish(h264()).unwrap();
    assert!(timeout(SECOND, subscription.tracks()).await.is_err());
    on.publish(h264()).unwrap();
    subscription.tracks().await.unwrap();
    assert_eq!(late.publish(Vec::new()).unwrap_err(), PublishError::NoTracks);
    let twice = [h264(), h264()].concat();
    assert_eq!(late.publish(twice).unwrap_err(), PublishError::SameNumber(0));
    assert_eq!(late.publish(vec![video(Codec::Vp8); 17]).unwrap_err(), PublishError::TooManyTracks(17));
}

#[tokio::test(start_paused = true)]
async fn limits_hold_and_say_so() {
    let hub = hub_with(|config| {
        config.max_streams = 2;
        config.max_consumers = 3;
    });
    let source = Script::playing(h264());
    let add = |text| hub.add(name(text), Arc::clone(&source) as Arc<dyn Source>, Mode::OnDemand);
    add("a").unwrap();
    assert_eq!(add("a").unwrap_err().to_string(), "there is already a stream a");
    add("b").unwrap();
    assert_eq!(add("c").unwrap_err().to_string(), "there are already 2 streams, which is the limit");
    let mut kept: Vec<_> = (0..3).map(|_| hub.subscribe(&name("a"), browser()).unwrap()).collect();
    let refused = hub.subscribe(&name("a"), browser()).unwrap_err();
    assert_eq!(refused.to_string(), "the stream already has 3 consumers, which is the limit");
    kept.pop();
    kept.push(hub.subscribe(&name("a"), browser()).unwrap());
    assert_eq!(hub.states().iter().map(|state| state.consumers).collect::<Vec<_>>(), [3, 0]);
}

#[test]
fn sources_that_fail_together_do_not_come_back_together() {
    let runtime = paused();
    let spread = runtime.block_on(async {
        let hub = hub_with(|config| config.jitter = 20);
        let sources: Vec<_> =
            (0..50).map(|_| Script::new(|_| Act::Fail(SourceError::temporary("power is out")))).collect();
        for (number, source) in sources.iter().enumerate() {
            let source = Arc::clone(source) as Arc<dyn Source>;
            hub.add(name(&format!("camera/{number}")), source, Mode::AlwaysOn).unwrap();
        }
        until("all were tried twice", || sources.iter().all(|source| source.runs() >= 2)).await;
        let gaps = sources.iter().map(|source| {
            let starts = source.starts.lock();
            (starts[1] - starts[0]).as_millis()
        });
        gaps.collect::<Vec<_>>()
    });
    assert!(spread.iter().all(|gap| (800..=1201).contains(gap)), "{spread:?}");
    assert!(spread.iter().max().unwrap() - spread.iter().min().unwrap() > 100, "{spread:?}");
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[path = "hub_retry_tests.rs"]
mod retries;

#[path = "hub_chance_tests.rs"]
mod chance;
