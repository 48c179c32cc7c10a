//! A viewer of another stack behind a way that is too narrow for the camera: what it gets, and what the operators' table says of it.

use super::world::World;
use anyhow::{Context as _, Result};
use camera_relay::viewers::{Figures, ViewerQuality};
use patchbay_av::{PictureSize, TestSettings, TestSource};
use patchbay_media::{
    hub::{Mode, StreamName},
    track::KeyFrames,
};
use patchbay_testkit::{
    wait::wait_until,
    way::{Narrow, Way},
    webrtc::{ForeignPeer, Happened, MediaKind, Swarm, Wants},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECOND: Duration = Duration::from_secs(1);

/// A camera of 3 Mbit/s that gives key frames as it likes, with sound.
fn camera() -> Result<Arc<TestSource>> {
    let settings = TestSettings {
        bitrate: Some(3_000_000),
        noise: 40,
        key_frame_interval: 2 * SECOND,
        key_frames: KeyFrames::AsTheyCome,
        ..TestSettings::new("test", PictureSize::new(640, 480)?)
    };
    Ok(Arc::new(TestSource::new(settings, Arc::new(|| 0))?))
}

/// What came in a time.
#[derive(Debug, Default)]
struct Got {
    pictures: u32,
    bytes: usize,
    sounds: u32,
    gap: Duration,
    sound_gap: Duration,
}

struct Viewer {
    world: World,
    way: Way,
    swarm: Swarm,
    at: [Option<Instant>; 2],
    timestamp: Option<u64>,
}

impl Viewer {
    async fn begin(narrow: Narrow) -> Result<Self> {
        let world = World::start().await?;
        let name: StreamName = world.core.hub.states().first().context("a stream")?.name.clone();
        world.core.hub.replace(&name, camera()?, Mode::OnDemand)?;
        let (mut foreign, offer) = ForeignPeer::offer(HERE, Wants::VideoAndAudio)?;
        let answer = world.post(&offer).await?;
        anyhow::ensure!(answer.status == 201, "{} {}", answer.head, answer.body);
        let port = answer.body.lines().find_map(|line| {
            let words = line.strip_prefix("a=candidate:")?.split(' ').collect::<Vec<_>>();
            (words.get(2) == Some(&"udp")).then(|| words.get(5)?.parse().ok()).flatten()
        });
        let server = SocketAddr::new(HERE, port.context("no candidate")?);
        let way = Way::to(server, narrow)?;
        foreign.accept(&way.through(&answer.body))?;
        let mut swarm = Swarm::new()?;
        swarm.add(foreign)?;
        Ok(Self { world, way, swarm, at: [None; 2], timestamp: None })
    }

    fn figures(world: &World) -> Figures {
        world.core.viewers.list(None, None, 1).pop().map(|viewer| viewer.figures).unwrap_or_default()
    }

    /// Lets time pass until the viewer has a quality, at most so long; prints what came.
    #[expect(clippy::print_stdout, reason = "figures of a test")]
    fn until(&mut self, what: &str, most: Duration, quality: Option<ViewerQuality>) -> Result<Got> {
        let begun = Instant::now();
        let Self { world, way, swarm, at, timestamp } = self;
        let (mut got, mut is_so) = (Got::default(), false);
        swarm.run_until(most + 5 * SECOND, |_, happened| {
            if let Some((_, Happened::Frame(frame))) = happened {
                let is_video = frame.kind == MediaKind::Video;
                let kind = usize::from(is_video);
                let since = at[kind].replace(frame.received).map(|at| frame.received.duration_since(at));
                let gap = if is_video { &mut got.gap } else { &mut got.sound_gap };
                *gap = (*gap).max(since.unwrap_or_default());
                if is_video {
                    assert!(timestamp.is_none_or(|before| frame.timestamp > before), "time stamps go on");
                    *timestamp = Some(frame.timestamp);
                    got.pictures += 1;
                    got.bytes += frame.data.len();
                } else {
                    got.sounds += 1;
                }
            }
            is_so = quality.is_some() && Self::figures(world).quality == quality;
            is_so || begun.elapsed() > most
        })?;
        let figures = Self::figures(world);
        println!(
            "{what} ({:?}): {got:?}, {:?}, {:?} of {:?} bit/s, {} changes",
            begun.elapsed(),
            way.passed(),
            figures.quality,
            figures.available,
            figures.quality_changes
        );
        anyhow::ensure!(is_so || quality.is_none(), "{what} did not come to be");
        Ok(got)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_way_gets_smaller_pictures_then_key_frames_and_all_again() -> Result<()> {
    let narrow = |rate| Narrow { rate, ..Narrow::default() };
    let mut viewer = Viewer::begin(narrow(1_200_000)).await?;
    let viewer = tokio::task::spawn_blocking(move || -> Result<Viewer> {
        viewer.until("3 Mbit/s through 1.2", 8 * SECOND, Some(ViewerQuality::Low))?;
        let over = viewer.until("going over", 5 * SECOND, None)?;
        assert!(over.gap < 3 * SECOND, "{over:?}");
        let low = viewer.until("smaller pictures", 8 * SECOND, None)?;
        assert!(low.pictures > 200 && low.gap < SECOND && low.bytes < 1_100_000, "{low:?}");
        assert!(low.sounds > 350 && low.sound_gap < SECOND / 2, "{low:?}");
        viewer.way.set(narrow(160_000));
        viewer.until("160 kbit/s", 10 * SECOND, Some(ViewerQuality::KeyFrames))?;
        viewer.until("going over", 4 * SECOND, None)?;
        let keys = viewer.until("key frames", 8 * SECOND, None)?;
        assert!((2..20).contains(&keys.pictures) && keys.sounds > 350, "{keys:?}");
        viewer.way.set(narrow(50_000_000));
        viewer.until("50 Mbit/s", 90 * SECOND, Some(ViewerQuality::Full))?;
        viewer.until("going over", 4 * SECOND, None)?;
        let full = viewer.until("everything", 4 * SECOND, None)?;
        assert!(full.pictures >= 110 && full.bytes > 1_000_000, "{full:?}");
        // So that it is there, and says so, until then.
        viewer.until("until the smaller pictures have stopped", 10 * SECOND, None)?;
        Ok(viewer)
    })
    .await??;
    let shown = viewer.world.viewers().await?;
    assert_eq!(shown[0]["quality"], "VIEWER_QUALITY_FULL", "{shown:?}");
    assert!(shown[0]["quality_changes"].as_u64() >= Some(3), "{shown:?}");
    let core = Arc::clone(&viewer.world.core);
    let name: StreamName = core.hub.states().first().context("a stream")?.name.clone();
    wait_until("the smaller pictures are made for nobody any more", 20 * SECOND, async || {
        core.hub.figures(&name).iter().all(|track| track.transcoded.is_none())
    })
    .await?;
    viewer.world.process.stop().await;
    Ok(())
}
