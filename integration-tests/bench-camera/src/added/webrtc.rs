//! A publisher and viewers of another stack, through the engine.

use super::{Delays, EVERY, Frame, STRAGGLERS, VIEWERS, forward::Forwarder, stamped};
use anyhow::{Result, ensure};
use patchbay_testkit::webrtc::{ForeignPeer, Happened, Reading, Swarm, Wants};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// Bytes of a frame: one packet.
pub(super) const SIZE: usize = 1100;

/// Frames between key frames.
const GROUP: u64 = 200;

/// Time for all to connect and see a frame.
const START: Duration = Duration::from_mins(1);

/// Ticks of VP8's clock between two frames.
const TICKS: u64 = 450;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Publishes on a schedule.
struct Publisher {
    clock: Instant,
    next: Instant,
    frames: u64,
}

/// Publishes for a time, and tells how long the frames took to their viewers.
pub(super) fn measure(forwarder: &mut Forwarder, window: Duration) -> Result<Delays> {
    let mut swarm = Swarm::new()?;
    // What viewers do with a packet is no part of the delay, and frames are due whether any comes or not.
    (swarm.reading, swarm.nap) = (Reading::Stamped, Duration::from_millis(1));
    let (mut peer, offer) = ForeignPeer::offer(HERE, Wants::Publish)?;
    peer.accept(&forwarder.publish(offer)?)?;
    swarm.add(peer)?;
    for _ in 0..VIEWERS {
        let (mut peer, offer) = ForeignPeer::offer(HERE, Wants::Video)?;
        peer.accept(&forwarder.watch(offer)?)?;
        swarm.add(peer)?;
    }
    let mut publisher = Publisher { clock: Instant::now(), next: Instant::now(), frames: 0 };
    connect(&mut swarm, &mut publisher)?;
    let begin = Instant::now();
    let (mut delays, first) = (Delays::default(), publisher.frames);
    let mut failed = None;
    swarm.run_until(window + STRAGGLERS * 2, |peers, happened| {
        match happened {
            Some((_, Happened::Frame(frame))) if was_sent_since(&publisher, begin, &frame.data) => {
                delays.add(publisher.clock, &frame.data, frame.received);
            }
            Some(_) => {}
            None if begin.elapsed() < window => failed = publisher.publish(peers).err(),
            None => return begin.elapsed() > window + STRAGGLERS,
        }
        failed.is_some()
    })?;
    delays.sent = usize::try_from(publisher.frames - first)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(delays),
    }
}

/// Until every viewer has got a frame.
fn connect(swarm: &mut Swarm, publisher: &mut Publisher) -> Result<()> {
    let (mut connected, mut seen) = (false, [false; VIEWERS]);
    let mut failed = None;
    swarm.run_until(START, |peers, happened| {
        match happened {
            Some((0, Happened::Connected)) => connected = true,
            Some((viewer, Happened::Frame(_))) => seen[viewer - 1] = true,
            None if connected => failed = publisher.publish(peers).err(),
            _ => {}
        }
        failed.is_some() || seen.iter().all(|seen| *seen)
    })?;
    ensure!(failed.is_none(), "the publisher has failed: {failed:?}");
    Ok(())
}

fn was_sent_since(publisher: &Publisher, begin: Instant, frame: &[u8]) -> bool {
    let sent = frame.get(super::TIME).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    sent.is_some_and(|sent| publisher.clock + Duration::from_nanos(sent) >= begin)
}

impl Publisher {
    /// Sends a frame when one is due.
    fn publish(&mut self, peers: &mut [ForeignPeer]) -> Result<()> {
        let Some(peer) = peers.first_mut().filter(|_| Instant::now() >= self.next) else { return Ok(()) };
        let frame = if self.frames.is_multiple_of(GROUP) { Frame::Key } else { Frame::Delta };
        peer.publish(self.frames * TICKS, stamped(self.clock, SIZE, frame))?;
        self.frames += 1;
        // One that is late is not made up for: two at once would wait for each other.
        self.next = (self.next + EVERY).max(Instant::now());
        Ok(())
    }
}
