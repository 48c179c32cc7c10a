//! Key frames on request, but not too many: they are large, and each viewer that joins asks for one.

use crate::KeyFrame;
use patchbay_media::MediaTime;
use std::time::Duration;

/// Decides which pictures become key frames. A request within the gap after a key frame is answered at its end; requests until then are one.
#[derive(Debug)]
pub(crate) struct KeyGate {
    gap: Duration,
    asked: bool,
    last: Option<MediaTime>,
}

impl KeyGate {
    pub(crate) fn new(gap: Duration) -> Self {
        Self { gap, asked: false, last: None }
    }

    /// Somebody asked for a key frame.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// What the picture of this time becomes.
    pub(crate) fn decide(&self, now: MediaTime) -> KeyFrame {
        let free = self.last.is_none_or(|last| now.since(last) >= self.gap);
        if self.asked && free { KeyFrame::Now } else { KeyFrame::AsDue }
    }

    /// There was a key frame.
    pub(crate) fn made(&mut self, at: MediaTime) {
        self.last = Some(at);
        self.asked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_within_the_gap_are_one_at_its_end() {
        let mut gate = KeyGate::new(Duration::from_millis(200));
        let made: Vec<i64> = (0..1_000)
            .step_by(10)
            .filter(|ms| {
                let now = MediaTime::from_nanos(ms * 1_000_000);
                if [100, 110, 120, 290, 600].contains(ms) {
                    gate.ask();
                }
                let key = gate.decide(now) == KeyFrame::Now;
                if key {
                    gate.made(now);
                }
                key
            })
            .collect();
        assert_eq!(made, [100, 300, 600]);
    }
}
