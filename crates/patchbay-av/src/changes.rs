//! How often what a source sends may change its form: each change is a new track, for which every viewer begins anew.

use patchbay_media::hub::{Reason, SourceError};
use std::time::{Duration, Instant};

/// Most changes, the first track among them, in a window.
const MOST: u32 = 8;
const WINDOW: Duration = Duration::from_secs(2);

/// Counts changes.
pub(crate) struct Changes {
    begun: Instant,
    counted: u32,
}

impl Changes {
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, counted: 0 }
    }

    /// Counts one; fails where that is too many.
    pub(crate) fn add(&mut self, now: Instant) -> Result<(), SourceError> {
        if now.saturating_duration_since(self.begun) >= WINDOW {
            (self.begun, self.counted) = (now, 0);
        }
        self.counted += 1;
        if self.counted <= MOST {
            return Ok(());
        }
        let text = "the source changes the form of its pictures all the time";
        Err(SourceError::temporary(text).because(Reason::Protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_changes_pass_and_endless_ones_do_not() {
        let now = Instant::now();
        let mut changes = Changes::new(now);
        assert!((0..MOST).all(|_| changes.add(now).is_ok()));
        assert_eq!(changes.add(now).unwrap_err().reason(), Reason::Protocol);
        assert!(changes.add(now + WINDOW).is_ok());
    }
}
