//! A peer of which one task takes the events while others look at its figures.

use crate::viewers::{Figures, Measured, ViewerQuality};
use parking_lot::{Mutex, MutexGuard};
use patchbay_rtc::{Peer, PeerEvent, PeerStatistics, Quality, sdp::Transport};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
};

/// The peer. The lock is held for single steps only, never while anything is waited for.
pub(super) struct SharedPeer(Arc<Mutex<Peer>>);

impl SharedPeer {
    pub(super) fn new(peer: Peer) -> Self {
        Self(Arc::new(Mutex::new(peer)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Peer> {
        self.0.lock()
    }

    /// The next event. Cancel-safe. Asked for by one task: the queue of events wakes the last one that has asked.
    pub(super) async fn event(&self) -> Option<PeerEvent> {
        poll_fn(|cx| {
            let mut peer = self.0.lock();
            // Begun anew each time: what waits for the queue is the queue's own, and nothing is lost when this is dropped.
            pin!(peer.event()).poll(cx)
        })
        .await
    }

    /// Its figures for the table of viewers, which does not keep the peer.
    pub(super) fn measured(&self) -> Arc<dyn Measured> {
        Arc::new(Measuring(Arc::downgrade(&self.0)))
    }
}

struct Measuring(Weak<Mutex<Peer>>);

impl Measured for Measuring {
    fn figures(&self) -> Figures {
        self.0.upgrade().map(|peer| figures(peer.lock().statistics())).unwrap_or_default()
    }
}

fn figures(statistics: PeerStatistics) -> Figures {
    let transport = match statistics.transport {
        Some(Transport::Udp) => "udp",
        Some(Transport::Tcp) => "tcp",
        None => "",
    };
    let quality = match statistics.quality {
        Quality::Full => ViewerQuality::Full,
        Quality::Low => ViewerQuality::Low,
        Quality::KeyFrames => ViewerQuality::KeyFrames,
    };
    Figures {
        connected: statistics.connected,
        transport: transport.to_owned(),
        packets_sent: statistics.packets_sent,
        bytes_sent: statistics.bytes_sent,
        packets_resent: statistics.packets_resent,
        loss: statistics.loss,
        jitter: statistics.jitter,
        round_trip: statistics.round_trip,
        skips: statistics.skips,
        key_frame_requests: statistics.key_frame_requests,
        connect_time: statistics.connect_time,
        quality: Some(quality),
        available: statistics.congestion.available,
        quality_changes: statistics.steps,
    }
}
