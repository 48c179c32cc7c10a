use super::*;
use crate::{
    Codec,
    hub::{
        Mode, Source, SourceError,
        testing::{Act, Script, audio, hub, name, video},
    },
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

fn tracks() -> Vec<(TrackInfo, KeyFrames)> {
    vec![video(Codec::H264), audio(Codec::Opus)]
}

/// A hub with a stream that has played for 1.9 s: the newest key frame is the one at 1 s.
async fn playing() -> (crate::hub::Hub, Whole) {
    let hub = hub();
    hub.add(name("camera/a"), Script::playing(tracks()), Mode::OnDemand).unwrap();
    let mut whole = hub.subscribe_whole(&name("camera/a")).unwrap();
    whole.tracks().await.unwrap();
    sleep(Duration::from_millis(1900)).await;
    let fresh = hub.subscribe_whole(&name("camera/a")).unwrap();
    (hub, fresh)
}

fn millis(time: MediaTime) -> i64 {
    time.nanos() / 1_000_000
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_since_the_newest_key_frame_comes_first_in_the_order_of_time() {
    let (_hub, whole) = playing().await;
    let mut outgoing = Outgoing::new(whole, 5 * SECOND);
    let Step::Tracks(announced) = outgoing.next().await.unwrap() else { panic!("tracks come first") };
    assert_eq!(announced.len(), 2);
    let mut last = MediaTime::from_nanos(0);
    let mut seen = Vec::new();
    while let Some(step) = outgoing.next().now_or_never() {
        let Step::Unit { unit, after_break } = step.unwrap() else { panic!("once") };
        assert!(unit.dts >= last && !after_break);
        last = unit.dts;
        seen.push((unit.track.0, millis(unit.dts), unit.key));
    }
    assert_eq!(seen[..4], [(0, 1000, true), (1, 1000, true), (0, 1040, false), (1, 1040, true)]);
    assert_eq!(seen.len(), 46);
    // The rest as it comes.
    let Step::Unit { unit, .. } = outgoing.next().await.unwrap() else { panic!("a unit") };
    assert_eq!(millis(unit.dts), 1920);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_too_slow_goes_on_after_a_break() {
    let (_hub, whole) = playing().await;
    let mut outgoing = Outgoing::new(whole, SECOND);
    outgoing.next().await.unwrap();
    outgoing.next().await.unwrap();
    sleep(10 * SECOND).await;
    let mut broken = Vec::new();
    while let Some(step) = outgoing.next().now_or_never() {
        let Step::Unit { unit, after_break } = step.unwrap() else { panic!("once") };
        if after_break {
            assert!(unit.key);
            broken.push((unit.track.0, millis(unit.dts)));
        }
    }
    assert_eq!(broken.iter().filter(|(track, _)| *track == 0).count(), 1, "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn tracks_that_change_are_announced_again() {
    let hub = hub();
    let source = Script::new(|_| Act::Change(SECOND, tracks(), vec![video(Codec::Vp8)]));
    hub.add(name("a"), source, Mode::OnDemand).unwrap();
    let mut outgoing = Outgoing::new(hub.subscribe_whole(&name("a")).unwrap(), SECOND);
    let mut announced = Vec::new();
    while announced.len() < 2 {
        if let Step::Tracks(tracks) = timeout(5 * SECOND, outgoing.next()).await.unwrap().unwrap() {
            announced.push(tracks.len());
        }
    }
    assert_eq!(announced, [2, 1]);
    hub.remove(&name("a"));
    let end = async {
        loop {
            if let Err(ended) = outgoing.next().await {
                return ended;
            }
        }
    };
    assert_eq!(end.await, Ended::Removed);
}

/// A source that takes what another hub sends.
struct Receiver {
    steps: Mutex<Option<mpsc::Receiver<Step>>>,
    requests: mpsc::Sender<TrackId>,
}

impl Source for Receiver {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let mut steps = self.steps.lock().take().ok_or(SourceError::permanent("used"))?;
            let mut incoming = Incoming::new(publisher);
            loop {
                let received = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    id = incoming.key_request() => {
                        self.requests.send(id).await.unwrap();
                        continue;
                    }
                    next = steps.recv() => next,
                };
                match received {
                    None => return Ok(()),
                    Some(Step::Tracks(tracks)) => {
                        let tracks = tracks.iter().map(|track| (track.info().clone(), track.key_frames()));
                        incoming.tracks(tracks.collect())?;
                    }
                    Some(Step::Unit { unit, .. }) => incoming.unit(unit).unwrap(),
                }
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_the_same_in_the_other_hub_and_requests_go_back() {
    let (here, whole) = playing().await;
    let original = here.subscribe_whole(&name("camera/a")).unwrap().tracks().await.unwrap()[0].clone();
    let (sender, steps) = mpsc::channel(16);
    let (requests, mut asked) = mpsc::channel(16);
    let there = hub();
    let receiver = Receiver { steps: Mutex::new(Some(steps)), requests };
    there.add(name("camera/a"), Arc::new(receiver), Mode::OnDemand).unwrap();
    let sending = tokio::runtime::Handle::current().spawn(async move {
        let mut outgoing = Outgoing::new(whole, 5 * SECOND);
        loop {
            tokio::select! {
                step = outgoing.next() => match step {
                    Ok(step) => sender.send(step).await.unwrap(),
                    Err(_) => return,
                },
                Some(id) = asked.recv() => outgoing.request_key_frame(id),
            }
        }
    });
    let mut viewer = there.subscribe(&name("camera/a"), crate::hub::Wanted::anything()).unwrap();
    let track = viewer.tracks().await.unwrap().video.unwrap();
    let mut reader = track.reader(Start::NewestKey);
    let newest = original.ring().newest_key().unwrap();
    for position in newest..newest + 100 {
        let arrived = reader.next().await.unwrap();
        let wanted = original.ring().get(position).unwrap();
        assert_eq!((arrived.entry.item.clone(), arrived.skipped), (wanted.item.clone(), 0));
    }
    track.request_key_frame();
    timeout(SECOND, original.key_requests().taken()).await.unwrap();
    here.remove(&name("camera/a"));
    sending.await.unwrap();
    while reader.next().await.is_ok() {}
    assert!(track.ring().has_ended());
}

#[tokio::test(start_paused = true)]
async fn units_of_unknown_tracks_are_refused_and_times_do_not_go_back() {
    let hub = hub();
    let source = Script::new(|_| Act::Hang);
    hub.add(name("a"), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    let mut whole = hub.subscribe_whole(&name("a")).unwrap();
    crate::hub::testing::until("it runs", || source.runs() == 1).await;
    let mut incoming = Incoming::new(source.publishers.lock()[0].clone());
    let unit = |track, millis: i64| {
        let at = MediaTime::from_nanos(millis * 1_000_000);
        AccessUnit { track: TrackId(track), dts: at, pts: at, key: true, data: Bytes::new() }
    };
    assert_eq!(incoming.unit(unit(0, 0)).unwrap_err(), UnknownTrack(TrackId(0)));
    incoming.tracks(vec![video(Codec::H264)]).unwrap();
    let track = Arc::clone(&whole.tracks().await.unwrap()[0]);
    assert_eq!(
        incoming.unit(unit(7, 0)).unwrap_err().to_string(),
        "a unit names track 7, which is not there"
    );
    for millis in [10, 5, 20] {
        incoming.unit(unit(0, millis)).unwrap();
    }
    let times: Vec<_> = track.ring().newest_group().iter().map(|entry| millis(entry.item.dts)).collect();
    assert_eq!(times, [20]);
    assert_eq!(millis(track.ring().get(1).unwrap().item.dts), 10);
}
