//! Delay that the server adds: a publisher's packets through the engine to fifty viewers, beside a forwarder of bare UDP.
//!
//! A child process receives and hands on, both ways. This process sends and receives, so that one clock tells both times. A frame is one packet
//! and holds when it was sent.

mod bare;
mod forward;
mod webrtc;

pub(crate) use forward::run as forward;

use crate::report::{Figure, Report, percentile};
use anyhow::Result;
use forward::Forwarder;
use std::time::{Duration, Instant};

/// Who gets every packet.
const VIEWERS: usize = 50;

/// Time between two packets.
const EVERY: Duration = Duration::from_millis(5);

/// After the last packet: later than that one is lost.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// Most that may be lost, of a hundred.
const MOST_LOST: f64 = 1.0;

/// Where in a frame the time stands. Before it is what makes it one of VP8.
const TIME: std::ops::Range<usize> = 10..18;

/// Delays in milliseconds, of every packet to every viewer.
#[derive(Clone, Debug, Default)]
struct Delays {
    milliseconds: Vec<f64>,
    sent: usize,
}

/// One round: both ways, one after the other, with a process of its own.
pub(crate) async fn round(window: Duration, report: &mut Report) -> Result<()> {
    let measuring = tokio::task::spawn_blocking(move || {
        let mut forwarder = Forwarder::start()?;
        let bare = bare::measure(&mut forwarder, window)?;
        let webrtc = webrtc::measure(&mut forwarder, window)?;
        anyhow::Ok((webrtc, bare))
    });
    let (mut webrtc, mut bare) = measuring.await??;
    for (part, name, most) in [(0.5, "p50", 0.5), (0.99, "p99", 3.0)] {
        let (ours, theirs) =
            (percentile(&mut webrtc.milliseconds, part), percentile(&mut bare.milliseconds, part));
        let figure = Figure::new(format!("packet in to packet out, {VIEWERS} viewers, {name}"), "ms");
        report.add(figure.clone(), ours);
        report.add_peer(figure, "bare UDP", theirs);
        let figure = Figure::new(format!("added to bare UDP, {VIEWERS} viewers, {name}"), "ms");
        report.add(figure.at_most(most), ours - theirs);
    }
    let lost = Figure::new("packets in a hundred that did not come", "").at_most(MOST_LOST).worst();
    report.add(lost.clone(), webrtc.lost());
    report.add_peer(lost, "bare UDP", bare.lost());
    Ok(())
}

impl Delays {
    /// A packet that was received at that time by the clock that has stamped it.
    fn add(&mut self, clock: Instant, packet: &[u8], received: Instant) {
        if let Some(sent) = packet.get(TIME).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes) {
            let delay = received.saturating_duration_since(clock + Duration::from_nanos(sent));
            self.milliseconds.push(delay.as_secs_f64() * 1e3);
        }
    }

    /// Of a hundred packets.
    #[expect(clippy::cast_precision_loss, reason = "some thousand packets")]
    fn lost(&self) -> f64 {
        let expected = self.sent * VIEWERS;
        100.0 * expected.saturating_sub(self.milliseconds.len()) as f64 / expected.max(1) as f64
    }
}

/// A packet of that size that says when it was made.
fn stamped(clock: Instant, size: usize, frame: Frame) -> Vec<u8> {
    let mut data = vec![u8::from(frame == Frame::Delta); size];
    let now = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
    data[TIME].copy_from_slice(&now.to_be_bytes());
    data
}

/// What VP8 calls a frame in its first bit (RFC 7741, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Key,
    Delta,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_tells_its_delay() {
        let clock = Instant::now();
        let packet = stamped(clock, 1100, Frame::Delta);
        let mut delays = Delays { sent: 1, ..Delays::default() };
        delays.add(clock, &packet, clock + Duration::from_mins(1));
        assert!((59_000.0..=60_000.0).contains(&delays.milliseconds[0]), "{delays:?}");
        assert!((delays.lost() - 98.0).abs() < 1e-9, "49 of 50 are missing");
        delays.add(clock, &packet[..12], clock);
        assert_eq!(delays.milliseconds.len(), 1, "what holds no time does not count");
    }
}
