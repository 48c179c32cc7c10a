//! camera-relay seen by viewers that we did not write: str0m in numbers, and aiortc, which decodes what it gets.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{self, OPERATOR, Relay, file_camera, open_settings, python_with},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_proto::camera::v1 as pb;
use patchbay_testkit::{
    binaries::workspace,
    keys::Keys,
    wait::wait_until,
    webrtc::{Happened, Swarm, Wants},
};
use serde_json::Value;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use str0m::media::MediaKind;
use tempfile::TempDir;

/// Viewers at the same time.
const VIEWERS: usize = 20;

/// Pictures that each of them gets.
const PICTURES: usize = 45;

async fn relay(settings: Settings) -> Result<(Relay, Keys, TempDir)> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    std::fs::create_dir(folder.path().join("media"))?;
    let settings = settings.set("cameras.media_folder", &folder.path().join("media").display());
    let relay = Relay::start(folder.path(), "relay", &keys, settings).await?;
    Ok((relay, keys, folder))
}

/// Runs the Python client; nothing where aiortc is not installed, which is said.
async fn aiortc(relay: &Relay, camera: &str, pictures: usize) -> Result<Option<Value>> {
    let Some(python) = python_with("aiortc, aiohttp") else {
        report("skipped: Python's aiortc and aiohttp are not installed; scripts/test does that");
        return Ok(None);
    };
    let mut command = Command::new(python);
    command.arg(workspace().join("integration-tests/clients/camera_aiortc.py"));
    command.args([format!("http://{}", relay.http), camera.to_owned(), pictures.to_string()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{out}\n{error}");
    report(&format!("aiortc at `{camera}`: {}", out.trim()));
    Ok(Some(serde_json::from_str(&out).with_context(|| out.to_string())?))
}

fn count(seen: &Value, field: &str) -> u64 {
    seen[field].as_u64().unwrap_or_default()
}

async fn statistics(relay: &Relay, keys: &Keys, camera: &str) -> Result<pb::GetStatisticsResponse> {
    let mut client = relay.client(&keys.token("operator", &["media:read:*"])?)?;
    Ok(client.get_statistics(pb::GetStatisticsRequest { name: camera.to_owned() }).await?.into_inner())
}

#[tokio::test]
async fn aiortc_sees_the_test_picture_and_hears_the_tone() -> TestResult {
    let (relay, _keys, _folder) = relay(open_settings()).await?;
    let Some(seen) = aiortc(&relay, "test", 90).await? else { return Ok(()) };
    assert_eq!(seen["sizes"], serde_json::json!([[640, 480]]));
    assert_eq!(
        count(&seen, "codes"),
        count(&seen, "pictures"),
        "each picture is whole enough to read its time code"
    );
    assert_eq!(count(&seen, "backwards"), 0);
    assert!(count(&seen, "sounds") > 50 && count(&seen, "loud") * 10 > count(&seen, "sounds") * 9, "{seen}");
    assert_eq!(count(&seen, "ended"), 200);
    // Three times what an idle machine needs, and aiortc's own jitter buffer in it.
    assert!(seen["lag_ms"].as_f64().is_some_and(|lag| lag < 500.0), "{seen}");
    Ok(())
}

#[tokio::test]
async fn aiortc_sees_a_file_whose_key_frames_and_sound_are_no_browsers() -> TestResult {
    let (relay, keys, folder) = relay(open_settings()).await?;
    let file = folder.path().join("media/clip.mp4");
    // B-frames and AAC, which WebRTC carries neither of, and one key frame in all of it.
    let coding =
        ["-t", "4", "-c:v", "libx264", "-bf", "2", "-g", "1000", "-pix_fmt", "yuv420p", "-c:a", "aac"];
    camera::make_file(&file, &coding)?;
    let mut client = relay.client(&keys.token("operator", &OPERATOR)?)?;
    client.add_camera(pb::AddCameraRequest { camera: Some(file_camera("clip", "clip.mp4")) }).await?;
    // More than the file has, so that it has begun anew.
    let Some(seen) = aiortc(&relay, "clip", 130).await? else { return Ok(()) };
    assert_eq!(seen["sizes"], serde_json::json!([[640, 360]]));
    assert!(count(&seen, "loud") > 100, "{seen}");
    let tracks = statistics(&relay, &keys, "clip").await?.status.unwrap_or_default().tracks;
    let made = tracks.iter().filter(|track| track.transcoded);
    report(&format!(
        "`clip` carries {}",
        tracks.iter().map(|track| format!("{} {}", track.codec, track.why)).collect::<Vec<_>>().join(", ")
    ));
    assert!(made.clone().count() >= 1 && made.clone().all(|track| !track.why.is_empty()), "{tracks:?}");
    Ok(())
}

/// What one viewer got.
#[derive(Clone, Debug, Default)]
struct Got {
    connected: Option<Duration>,
    first: Option<Duration>,
    pictures: usize,
    torn: usize,
    sounds: usize,
}

impl Got {
    fn take(&mut self, happened: Happened, begun: Instant) {
        match happened {
            Happened::Connected => self.connected = Some(begun.elapsed()),
            Happened::Frame(frame) if frame.kind == MediaKind::Audio => self.sounds += 1,
            Happened::Frame(frame) => {
                self.first.get_or_insert_with(|| begun.elapsed());
                self.pictures += 1;
                self.torn += usize::from(!frame.contiguous && self.pictures > 1);
            }
            _ => {}
        }
    }
}

/// Drives all viewers on a thread of their own until the closure says that it is enough.
async fn drive(
    mut swarm: Swarm,
    begun: Instant,
    enough: impl Fn(&[Got]) -> bool + Send + 'static,
) -> Result<(Swarm, Vec<Got>)> {
    tokio::task::spawn_blocking(move || {
        let mut got = vec![Got::default(); swarm.peers.len()];
        let outcome = swarm.run_until(camera::SOON, |_, happened| {
            if let Some((number, happened)) = happened {
                got[number].take(happened, begun);
            }
            enough(&got)
        });
        outcome.with_context(|| format!("{got:?}"))?;
        Ok((swarm, got))
    })
    .await?
}

#[tokio::test]
async fn many_viewers_are_one_capture_and_one_encoder_on_one_port() -> TestResult {
    let (relay, keys, _folder) = relay(open_settings().set("cameras.linger", "1s")).await?;
    let begun = Instant::now();
    let mut swarm = Swarm::new()?;
    let mut sessions = Vec::new();
    for _ in 0..VIEWERS {
        let (peer, session) = relay.viewer("test", Wants::VideoAndAudio).await?;
        swarm.add(peer)?;
        sessions.push(session);
    }
    let all = |got: &[Got]| got.iter().all(|got| got.pictures >= PICTURES && got.sounds >= PICTURES);
    let (swarm, got) = drive(swarm, begun, all).await?;
    let torn: usize = got.iter().map(|got| got.torn).sum();
    let slowest = got.iter().filter_map(|got| got.first).max().unwrap_or_default();
    report(&format!(
        "{VIEWERS} viewers: the last one's first picture after {slowest:?}, {torn} torn pictures"
    ));
    assert_eq!(torn, 0, "{got:?}");

    let statistics_now = statistics(&relay, &keys, "test").await?;
    let status = statistics_now.status.unwrap_or_default();
    assert_eq!((status.captures, status.encoders, statistics_now.starts), (1, 1, 1), "{status:?}");
    assert_eq!(status.viewers, u32::try_from(VIEWERS)?);
    let mut client = relay.client(&keys.token("operator", &["media:read:*"])?)?;
    let listed = client.list_viewers(pb::ListViewersRequest::default()).await?.into_inner().viewers;
    assert_eq!(listed.len(), VIEWERS);
    for viewer in &listed {
        assert!(viewer.connected && viewer.transport == "udp" && viewer.packets_sent > 0, "{viewer:?}");
    }
    // They go away as pages do that are closed, with a word, and the camera rests a while later.
    for session in sessions {
        assert_eq!(relay.ask("DELETE", &session, &[], "").await?.status, 200);
    }
    drop(swarm);
    let took = wait_until("the camera is idle", camera::SOON, async || {
        let status = statistics(&relay, &keys, "test").await.ok().and_then(|statistics| statistics.status);
        status.is_some_and(|status| status.state() == pb::CameraState::Idle && status.viewers == 0)
    })
    .await?;
    report(&format!("the camera was idle {took:?} after its last viewer (linger 1 s)"));
    Ok(())
}

#[tokio::test]
async fn a_kicked_viewer_is_gone_and_the_others_stay() -> TestResult {
    let (relay, keys, _folder) = relay(open_settings()).await?;
    let mut swarm = Swarm::new()?;
    for _ in 0..2 {
        swarm.add(relay.viewer("test", Wants::Video).await?.0)?;
    }
    let begun = Instant::now();
    let (swarm, _) = drive(swarm, begun, |got| got.iter().all(|got| got.pictures > 5)).await?;
    let mut client = relay.client(&keys.token("operator", &["media:read:*", "media:write:*"])?)?;
    let listed = client.list_viewers(pb::ListViewersRequest::default()).await?.into_inner().viewers;
    let id = listed.first().context("nobody looks")?.id.clone();
    client.kick_viewer(pb::KickViewerRequest { id: id.clone() }).await?;
    let left = wait_until("it is not listed any more", camera::SOON, async || {
        let listed = client.list_viewers(pb::ListViewersRequest::default()).await;
        listed.is_ok_and(|listed| listed.into_inner().viewers.iter().all(|viewer| viewer.id != id))
    })
    .await?;
    report(&format!("a kicked viewer was gone after {left:?}"));
    let (_swarm, got) = drive(swarm, begun, |got| got.iter().any(|got| got.pictures >= PICTURES)).await?;
    let pictures: Vec<usize> = got.iter().map(|got| got.pictures).collect();
    assert!(pictures.iter().any(|pictures| *pictures < PICTURES / 2), "both go on: {pictures:?}");
    Ok(())
}

#[tokio::test]
async fn the_picture_over_plain_http() -> TestResult {
    let (relay, _keys, _folder) = relay(open_settings()).await?;
    let page = relay.ask("GET", "/", &[], "").await?;
    assert!(page.status == 200 && page.head.contains("text/html"), "{}", page.head);
    let snapshot = relay.ask("GET", "/snapshot/test.jpg?width=320", &[], "").await?;
    assert!(snapshot.status == 200 && snapshot.head.contains("image/jpeg"), "{}", snapshot.head);
    assert!(snapshot.body.len() > 2000, "{} bytes", snapshot.body.len());
    assert_eq!(relay.ask("GET", "/snapshot/none.jpg", &[], "").await?.status, 404);
    Ok(())
}

/// Offers of other people's stacks, whole and cut, beside a viewer who must not notice.
#[tokio::test]
async fn bad_offers_are_refused_and_nobody_else_notices() -> TestResult {
    let (relay, _keys, _folder) = relay(open_settings().set("media.connect_timeout", "2s")).await?;
    let mut swarm = Swarm::new()?;
    swarm.add(relay.viewer("test", Wants::Video).await?.0)?;
    let begun = Instant::now();
    let watching = drive(swarm, begun, |got| got.iter().all(|got| got.pictures >= 3 * PICTURES));
    let (watched, offered) = tokio::join!(watching, offer_all(&relay));
    let (taken, refused) = offered?;
    report(&format!("{taken} offers taken, {refused} refused"));
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
    let (_swarm, got) = watched?;
    assert_eq!(got[0].torn, 0, "{got:?}");
    Ok(())
}

/// Offers each of the kept ones cut at each line, and without each line; how many were taken and refused.
async fn offer_all(relay: &Relay) -> Result<(usize, usize)> {
    let (mut taken, mut refused) = (0, 0);
    for offer in offers(&workspace().join("crates/patchbay-rtc/testdata/offers"))? {
        let lines: Vec<&str> = offer.lines().collect();
        for (cut, _) in lines.iter().enumerate() {
            let without = [&lines[..cut], &lines[cut + 1..]].concat();
            for text in [lines[..cut].join("\r\n") + "\r\n", without.join("\r\n") + "\r\n"] {
                let answer = relay.offer("test", &text).await?;
                match answer.status {
                    201 => {
                        taken += 1;
                        let session = camera::header(&answer, "location").context("no location")?;
                        ensure!(
                            relay.ask("DELETE", session, &[], "").await?.status == 200,
                            "{session} stays"
                        );
                    }
                    406 | 422 => refused += 1,
                    status => anyhow::bail!("{status} {}\n{text}", answer.body),
                }
            }
        }
    }
    Ok((taken, refused))
}

fn offers(folder: &Path) -> Result<Vec<String>> {
    let files = std::fs::read_dir(folder)?;
    files.map(|file| Ok(std::fs::read_to_string(file?.path())?)).collect()
}
