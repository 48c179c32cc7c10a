//! Viewers that ask for key frames, as those do whose decoder has lost its state.

use crate::{add, relay};
use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{SOON, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::webrtc::{Happened, Swarm};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_asks_gets_a_key_frame_at_once_and_twenty_who_ask_share_one() -> TestResult {
    const ASKERS: usize = 20;
    let (relay, _folder) = relay(open_settings()).await?;
    let mut swarm = Swarm::new()?;
    add(&mut swarm, &relay, "asked", ASKERS).await?;
    tokio::task::spawn_blocking(move || -> Result<()> {
        calm_down(&mut swarm)?;
        let mut slowest = Duration::ZERO;
        for _ in 0..5 {
            let (took, _) = ask(&mut swarm, 1)?;
            slowest = slowest.max(took.context("no key frame came")?);
        }
        let (took, key_frames) = ask(&mut swarm, ASKERS)?;
        calm_down(&mut swarm)?;
        let in_turn = ask_in_turn(&mut swarm)?;
        report(&format!(
            "a key frame came {slowest:?} at most after one had asked; {ASKERS} who asked at once got {key_frames}, the first after {took:?}; \
             {ASKERS} who asked in turn, at every picture, got {in_turn}"
        ));
        ensure!(slowest < Duration::from_millis(500), "a key frame came only after {slowest:?}");
        ensure!((1..=2).contains(&key_frames), "{ASKERS} requests made {key_frames} key frames");
        // Twenty pictures are 670 ms, in which there is time for a key frame each 200 ms.
        ensure!((2..=6).contains(&in_turn), "requests at each picture made {in_turn} key frames");
        Ok(())
    })
    .await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_ignores_requests_makes_no_key_frame() -> TestResult {
    let (relay, _folder) = relay(open_settings()).await?;
    let mut swarm = Swarm::new()?;
    add(&mut swarm, &relay, "deaf", 1).await?;
    let (took, key_frames) = tokio::task::spawn_blocking(move || {
        calm_down(&mut swarm)?;
        ask(&mut swarm, 1)
    })
    .await??;
    assert_eq!((took, key_frames), (None, 0));
    Ok(())
}

/// Drives the viewers until all see pictures and the first one has seen 30 without a key frame.
fn calm_down(swarm: &mut Swarm) -> Result<()> {
    let mut seen = vec![0; swarm.peers.len()];
    swarm.run_until(SOON, |_, happened| {
        if let Some((viewer, Happened::Frame(frame))) = happened {
            seen[viewer] = if viewer == 0 && is_key(&frame.data) { 0 } else { seen[viewer] + 1 };
        }
        seen[0] >= 30 && seen.iter().all(|seen| *seen > 0)
    })
}

/// Lets that many ask for a key frame at once. How long it took, and the number of key frames among the first viewer's next 45 pictures.
fn ask(swarm: &mut Swarm, askers: usize) -> Result<(Option<Duration>, usize)> {
    let asked = Instant::now();
    for peer in swarm.peers.iter_mut().take(askers) {
        peer.ask_key_frame()?;
    }
    let (mut pictures, mut key_frames, mut took) = (0, 0, None);
    swarm.run_until(SOON, |_, happened| {
        if let Some((0, Happened::Frame(frame))) = happened {
            pictures += 1;
            if is_key(&frame.data) {
                key_frames += 1;
                took.get_or_insert_with(|| asked.elapsed());
            }
        }
        pictures >= 45
    })?;
    Ok((took, key_frames))
}

/// Lets one after the other ask, one at each picture. The number of key frames meanwhile and soon after.
fn ask_in_turn(swarm: &mut Swarm) -> Result<usize> {
    let (mut pictures, mut key_frames) = (0, 0);
    let mut asked = Ok(());
    let askers = swarm.peers.len();
    swarm.run_until(SOON, |peers, happened| {
        if let Some((0, Happened::Frame(frame))) = happened {
            key_frames += usize::from(is_key(&frame.data));
            if let Some(peer) = peers.get_mut(pictures) {
                asked = peer.ask_key_frame();
            }
            pictures += 1;
        }
        asked.is_err() || pictures >= askers + 15
    })?;
    asked?;
    Ok(key_frames)
}

/// NAL units after start codes: one of them is an IDR picture.
fn is_key(data: &[u8]) -> bool {
    data.windows(4).any(|window| window.starts_with(&[0, 0, 1]) && window[3] & 0x1f == 5)
}
