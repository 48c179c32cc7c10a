//! One camera on two replicas with Redis: kill -9, a pause and an outage of Redis, seen by a viewer who stays where he is.

use anyhow::{Context, Result, bail};
use integration_tests::{
    camera::{OPERATOR, Relay, header, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{
    http,
    keys::Keys,
    redis::{Persistence, RedisServer},
    wait::{wait_for, wait_until},
    webrtc::{Happened, Swarm, Wants},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a lease holds, and what may pass after it until there are pictures again.
const GOAL: Duration = Duration::from_secs(11);

/// How long Redis is away.
const OUTAGE: Duration = Duration::from_secs(20);

const CAMERA: &str = "test";

/// Two replicas with one identity, as services have it that run apart.
struct Pair {
    one: Relay,
    two: Relay,
    redis: RedisServer,
    token: String,
    _folder: TempDir,
}

impl Pair {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let identity = folder.path().join("service.pem");
        keys.share_identity("camera-relay", &identity, &["media:relay:camera/*"])?;
        let redis = RedisServer::start(Persistence::Always).await?;
        let settings = open_settings()
            .set("backplane.url", &redis.url())
            .set("auth.service_key_file", &identity.display());
        let one = Relay::start(folder.path(), "one", &keys, settings.clone()).await?;
        let two = Relay::start(folder.path(), "two", &keys, settings).await?;
        Ok(Self { one, two, redis, token: keys.token("operator", &OPERATOR)?, _folder: folder })
    }

    /// How a replica says that the camera is on all of them.
    async fn status(&self, replica: &Relay) -> Result<pb::CameraStatus> {
        let request = pb::GetStatisticsRequest { name: CAMERA.to_owned() };
        let answer = replica.client(&self.token)?.get_statistics(request).await?;
        answer.into_inner().status.context("no status")
    }

    /// Waits until a replica tells of one capture, by the replica for which the closure is true.
    async fn one_capture(&self, teller: &Relay, what: &str, by: impl Fn(&str) -> bool) -> Result<String> {
        let mut last = None;
        let waited = wait_for(what, 3 * GOAL, async || {
            let status = self.status(teller).await.ok()?;
            let is_one = status.captures == 1 && status.encoders == 1;
            let owner = (is_one && by(&status.owner)).then(|| status.owner.clone());
            last = Some(status);
            owner
        })
        .await;
        let (owner, took) = match waited {
            Ok(waited) => waited,
            Err(error) => {
                let viewers =
                    teller.client(&self.token)?.list_viewers(pb::ListViewersRequest::default()).await;
                return Err(error.context(format!("{last:?}, {viewers:?}")));
            }
        };
        report(&format!("{what}: after {took:?}"));
        Ok(owner)
    }
}

/// What a viewer has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    pictures: usize,
    torn: usize,
    last: Option<Instant>,
    longest: Duration,
    gone: bool,
}

impl Seen {
    fn take(&mut self, happened: &Happened) {
        match happened {
            Happened::Disconnected => self.gone = true,
            Happened::Frame(frame) => {
                let now = Instant::now();
                let still = self.last.map_or(Duration::ZERO, |last| now - last);
                self.longest = self.longest.max(still);
                self.last = Some(now);
                self.pictures += 1;
                self.torn += usize::from(!frame.contiguous);
            }
            _ => {}
        }
    }
}

/// A viewer who watches on a thread of his own and never connects again.
struct Viewer {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Viewer {
    async fn at(replica: &Relay) -> Result<Self> {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::new(AtomicBool::new(false)));
        let mut swarm = Swarm::new()?;
        swarm.add(replica.viewer(CAMERA, Wants::Video).await?.0)?;
        let (writes, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            swarm.run_until(Duration::from_mins(5), |_, happened| {
                if let Some((_, happened)) = happened {
                    writes.lock().unwrap_or_else(PoisonError::into_inner).take(&happened);
                }
                stopped.load(Ordering::Relaxed)
            })
        });
        let viewer = Self { seen, stop, thread: Some(thread) };
        viewer.sees(10, "a viewer sees the camera").await?;
        Ok(viewer)
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins to measure anew.
    fn forget(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { last: seen.last, gone: seen.gone, ..Seen::default() };
    }

    /// Waits for so many pictures more.
    async fn sees(&self, more: usize, what: &str) -> Result<Duration> {
        let from = self.seen().pictures;
        let took = wait_until(what, 3 * GOAL, async || {
            let seen = self.seen();
            seen.pictures >= from + more || seen.gone
        })
        .await?;
        if self.seen().gone {
            bail!("{what}: the viewer has lost its connection");
        }
        Ok(took)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A figure of a replica.
async fn metric(replica: &Relay, name: &str) -> Result<f64> {
    let text = http::get(replica.ops, "/metrics", &[]).await?.body;
    let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
    Ok(line.rsplit(' ').next().context("no value")?.parse()?)
}

#[tokio::test]
async fn a_killed_owner_is_replaced_and_comes_back_as_a_subscriber() -> TestResult {
    let mut pair = Pair::start().await?;
    let here = Viewer::at(&pair.one).await?;
    let begun = Instant::now();
    let there = Viewer::at(&pair.two).await?;
    report(&format!("ten pictures on the other replica after {:?}", begun.elapsed()));
    let first = pair.one_capture(&pair.two, "one capture for both", |owner| !owner.is_empty()).await?;
    assert!(metric(&pair.one, "patchbay_camera_relay_captures").await? > 0.5);
    assert!(metric(&pair.two, "patchbay_camera_relay_captures").await? < 0.5);
    assert!(metric(&pair.two, "patchbay_camera_relay_relayed_bytes_received_total").await? > 0.0);

    there.forget();
    pair.one.process.kill()?;
    let killed = Instant::now();
    drop(here);
    let second = pair.one_capture(&pair.two, "the other captures", |owner| owner != first).await?;
    there.sees(30, "the viewer sees pictures again").await?;
    let seen = there.seen();
    report(&format!(
        "after kill -9 of the owner the viewer of the other replica, still connected, saw nothing for {:?} (goal {GOAL:?}), {} torn; all within {:?}",
        seen.longest,
        seen.torn,
        killed.elapsed()
    ));
    assert!(seen.longest < 3 * GOAL, "{seen:?}");

    pair.one.restart().await?;
    let back = Viewer::at(&pair.one).await?;
    let owner = pair.one_capture(&pair.one, "still one capture", |owner| !owner.is_empty()).await?;
    assert_eq!(owner, second, "whoever has it keeps it");
    there.sees(10, "the viewer who stayed sees on").await?;
    drop((back, there));
    Ok(())
}

#[tokio::test]
async fn pictures_go_on_while_redis_is_away() -> TestResult {
    let mut pair = Pair::start().await?;
    let here = Viewer::at(&pair.one).await?;
    let there = Viewer::at(&pair.two).await?;
    let first = pair.one_capture(&pair.two, "one capture for both", |owner| !owner.is_empty()).await?;
    here.forget();
    there.forget();
    pair.redis.kill()?;
    let away = Instant::now();
    // As long as the outage lasts; the longest time without a picture tells what happened in it.
    wait_until("the outage is over", 2 * OUTAGE, async || away.elapsed() > OUTAGE).await?;
    let during = [here.seen(), there.seen()];
    pair.redis.restart().await?;
    let back = Instant::now();
    let owner =
        pair.one_capture(&pair.two, "one capture after the outage", |owner| !owner.is_empty()).await?;
    report(&format!("both replicas told of one capture {:?} after Redis was back", back.elapsed()));
    assert_eq!(owner, first);
    here.sees(60, "the viewer of the owner sees on").await?;
    there.sees(60, "the viewer of the other sees on").await?;
    for (name, during, seen) in [("owner", &during[0], here.seen()), ("other", &during[1], there.seen())] {
        report(&format!(
            "without Redis the viewer of the {name} saw {} pictures in {OUTAGE:?}; longest time without one {:?}, {} torn",
            during.pictures, seen.longest, seen.torn
        ));
        assert!(seen.longest < Duration::from_secs(1), "{name}: {seen:?}");
        assert!(during.pictures > 500, "{name}: {during:?}");
    }
    for replica in [&pair.one, &pair.two] {
        assert!(metric(replica, "patchbay_camera_relay_lost_captures_total").await? < 0.5);
    }
    Ok(())
}

#[tokio::test]
async fn an_owner_that_was_paused_gives_way() -> TestResult {
    let pair = Pair::start().await?;
    let here = Viewer::at(&pair.one).await?;
    let there = Viewer::at(&pair.two).await?;
    let first = pair.one_capture(&pair.two, "one capture for both", |owner| !owner.is_empty()).await?;
    there.forget();
    pair.one.process.pause()?;
    let second = pair.one_capture(&pair.two, "the other captures", |owner| owner != first).await?;
    there.sees(30, "the viewer of the other sees pictures again").await?;
    report(&format!("a paused owner: no picture for {:?} (goal {GOAL:?})", there.seen().longest));
    drop(here);
    pair.one.process.resume()?;
    let resumed = Instant::now();
    let lost = wait_until("it has given way", 3 * GOAL, async || {
        metric(&pair.one, "patchbay_camera_relay_lost_captures_total").await.is_ok_and(|lost| lost > 0.5)
    });
    lost.await?;
    report(&format!("it had stopped capturing {:?} after it went on", resumed.elapsed()));
    let back = Viewer::at(&pair.one).await?;
    let owner = pair.one_capture(&pair.one, "one capture for both again", |owner| !owner.is_empty()).await?;
    assert_eq!(owner, second);
    there.sees(10, "the viewer who stayed sees on").await?;
    drop((back, there));
    Ok(())
}

#[tokio::test]
async fn an_owner_that_stops_hands_its_camera_over() -> TestResult {
    let mut pair = Pair::start().await?;
    let here = Viewer::at(&pair.one).await?;
    let there = Viewer::at(&pair.two).await?;
    let first = pair.one_capture(&pair.two, "one capture for both", |owner| !owner.is_empty()).await?;
    there.forget();
    pair.one.process.terminate()?;
    pair.one_capture(&pair.two, "the other captures", |owner| owner != first).await?;
    there.sees(30, "the viewer of the other sees on").await?;
    assert_eq!(pair.one.process.wait_exit(GOAL).await?, Some(0));
    let still = there.seen().longest;
    report(&format!("the viewer of the other saw nothing for {still:?} when the owner was told to stop"));
    assert!(still < Duration::from_secs(3), "{still:?}");
    drop((here, there));
    Ok(())
}

#[tokio::test]
async fn who_comes_while_redis_is_away_sees_pictures_and_it_heals() -> TestResult {
    let mut pair = Pair::start().await?;
    pair.redis.kill()?;
    let begun = Instant::now();
    let here = Viewer::at(&pair.one).await?;
    let there = Viewer::at(&pair.two).await?;
    for replica in [&pair.one, &pair.two] {
        assert!(metric(replica, "patchbay_camera_relay_captures").await? > 0.5, "each captures by itself");
    }
    report(&format!("both had ten pictures {:?} after Redis was gone", begun.elapsed()));
    here.forget();
    there.forget();
    pair.redis.restart().await?;
    let took = wait_until("one of two captures is left", 3 * GOAL, async || {
        let one = metric(&pair.one, "patchbay_camera_relay_captures").await;
        let two = metric(&pair.two, "patchbay_camera_relay_captures").await;
        one.is_ok_and(|one| two.is_ok_and(|two| (one + two - 1.0).abs() < 0.5))
    })
    .await?;
    report(&format!("one of two captures was left {took:?} after Redis was back"));
    pair.one_capture(&pair.two, "both know", |owner| !owner.is_empty()).await?;
    here.sees(30, "the one sees on").await?;
    there.sees(30, "the other sees on").await?;
    let longest = here.seen().longest.max(there.seen().longest);
    report(&format!("longest time without a picture while it healed: {longest:?}"));
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    Ok(())
}

#[tokio::test]
async fn a_replica_that_is_started_again_need_not_wait_for_its_own_lease() -> TestResult {
    let mut pair = Pair::start().await?;
    let before = Viewer::at(&pair.one).await?;
    pair.one_capture(&pair.one, "one capture", |owner| !owner.is_empty()).await?;
    pair.one.process.kill()?;
    drop(before);
    pair.one.restart().await?;
    let begun = Instant::now();
    let _after = Viewer::at(&pair.one).await?;
    report(&format!("ten pictures {:?} after a start that followed kill -9", begun.elapsed()));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    Ok(())
}

/// What a page sends that restarts ICE.
const RESTART: &str =
    "a=ice-ufrag:again\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";

#[tokio::test]
async fn a_session_is_changed_and_ended_at_whichever_replica_its_viewer_asks() -> TestResult {
    let pair = Pair::start().await?;
    let (_peer, session) = pair.one.viewer(CAMERA, Wants::Video).await?;
    pair.one_capture(&pair.two, "the other knows of it", |owner| !owner.is_empty()).await?;
    let fragment = ("content-type", "application/trickle-ice-sdpfrag");
    let change =
        async |tag: &str| pair.two.ask("PATCH", &session, &[fragment, ("if-match", tag)], RESTART).await;

    let stale = change("\"another\"").await?;
    assert_eq!(stale.status, 412, "{}", stale.body);
    let restarted = change("*").await?;
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    assert!(
        restarted.body.contains("a=ice-ufrag:") && header(&restarted, "etag").is_some(),
        "{}",
        restarted.body
    );

    let (name, _) = session.rsplit_once('.').context("a secret")?;
    let guessed = pair.two.ask("DELETE", &format!("{name}.{}", "0".repeat(32)), &[], "").await?;
    assert_eq!(guessed.status, 404, "{}", guessed.body);
    for _ in 0..2 {
        let ended = pair.two.ask("DELETE", &session, &[], "").await?;
        assert_eq!(ended.status, 200, "{}", ended.body);
    }
    assert_eq!(pair.status(&pair.one).await?.viewers, 0, "it has gone before the answer");
    Ok(())
}
