//! Viewers that come and go for a while.

use crate::{metric, relay, variable};
use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{Relay, SOON, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::{
    wait::wait_until,
    webrtc::{Happened, Swarm, Wants},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// How long viewers come and go, in seconds; the benchmark takes an hour.
const SOAK: &str = "PATCHBAY_SOAK_SECONDS";

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    descriptors: usize,
}

fn held(pid: u32) -> Result<Held> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let memory_kib = line.trim().trim_end_matches(" kB").parse()?;
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(Held { memory_kib, descriptors })
}

/// How often one comes, and how long it stays.
const EVERY: Duration = Duration::from_millis(200);
const STAY: Duration = Duration::from_secs(2);

/// Those who are there, and a count of all.
#[derive(Default)]
struct Crowd {
    present: VecDeque<Guest>,
    came: usize,
    saw: usize,
}

struct Guest {
    /// Ends with the number of pictures.
    watching: JoinHandle<usize>,
    /// What is deleted at the end; those who go without a word have none.
    session: Option<String>,
}

impl Crowd {
    async fn enter(&mut self, relay: &Relay) -> Result<()> {
        let (peer, session) = relay.viewer("test", Wants::Video).await?;
        let mut swarm = Swarm::new()?;
        swarm.add(peer)?;
        let watching = tokio::task::spawn_blocking(move || {
            let mut pictures = 0;
            // The end of the time is no error: that is when it goes.
            drop(swarm.run_until(STAY, |_, happened| {
                pictures += usize::from(matches!(happened, Some((_, Happened::Frame(_)))));
                false
            }));
            pictures
        });
        let session = self.came.is_multiple_of(2).then_some(session);
        self.present.push_back(Guest { watching, session });
        self.came += 1;
        Ok(())
    }

    /// The oldest goes when it has finished.
    async fn leave(&mut self, relay: &Relay) -> Result<()> {
        let Some(guest) = self.present.pop_front_if(|guest| guest.watching.is_finished()) else {
            return Ok(());
        };
        self.saw += usize::from(guest.watching.await? > 0);
        if let Some(session) = guest.session {
            let answer = relay.ask("DELETE", &session, &[], "").await?;
            ensure!(answer.status == 200, "DELETE was answered {}", answer.status);
        }
        Ok(())
    }
}

/// What the relay holds in the course of time.
#[derive(Default)]
struct Samples(Vec<(Duration, Held)>);

impl Samples {
    /// Memory in that tenth of the time, counted from 0: the median.
    fn memory(&self, duration: Duration, tenth: u32) -> u64 {
        let part = duration * tenth / 10..duration * (tenth + 1) / 10;
        let mut memory: Vec<u64> =
            self.0.iter().filter(|(at, _)| part.contains(at)).map(|(_, held)| held.memory_kib).collect();
        memory.sort_unstable();
        memory.get(memory.len() / 2).copied().unwrap_or_default()
    }

    fn descriptors(&self) -> usize {
        self.0.iter().map(|(_, held)| held.descriptors).max().unwrap_or_default()
    }
}

/// Five a second come, watch for two seconds and leave: every other one with a word, the others by being silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_who_come_and_go_leave_nothing_behind() -> TestResult {
    let seconds = variable(SOAK).and_then(|text| text.parse().ok()).unwrap_or(60);
    let duration = Duration::from_secs(seconds);
    let settings = open_settings().set("media.idle_timeout", "5s").set("log.level", "warn");
    let (relay, _folder) = relay(settings).await?;
    let before = held(relay.process.pid())?;
    let begun = Instant::now();
    let (mut crowd, mut samples, mut most) = (Crowd::default(), Samples::default(), 0.0_f64);
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while begun.elapsed() < duration {
        turns.tick().await;
        crowd.enter(&relay).await?;
        crowd.leave(&relay).await?;
        samples.0.push((begun.elapsed(), held(relay.process.pid())?));
        if crowd.came.is_multiple_of(5) {
            most = most.max(metric(&relay, "viewers").await?);
        }
    }
    wait_until("all have left", SOON, async || {
        crowd.leave(&relay).await.expect("who leaves is let go");
        crowd.present.is_empty()
    })
    .await?;
    let nobody = async || metric(&relay, "viewers").await.is_ok_and(|viewers| viewers == 0.0);
    let gone = wait_until("nobody is left", SOON, nobody).await?;
    let (half, end) = (samples.memory(duration, 5), samples.memory(duration, 9));
    let after = held(relay.process.pid())?;
    report(&format!(
        "{} viewers in {seconds} s, {} saw pictures, at most {most} at once; memory {} KiB before, {half} in the middle, {end} at the end; \
         descriptors {} before, {} at most, {} after; the last were gone after {gone:?}",
        crowd.came,
        crowd.saw,
        before.memory_kib,
        before.descriptors,
        samples.descriptors(),
        after.descriptors,
    ));
    assert_eq!(crowd.saw, crowd.came);
    assert!(end * 100 < half * 105, "memory grew from {half} to {end} KiB in the second half");
    assert!(after.descriptors <= before.descriptors + 4, "{before:?} became {after:?}");
    Ok(())
}
