//! Whether a camera gives pictures, once that has been the same for a while. No I/O.

use crate::replicas::Condition;
use std::time::Duration;
use tokio::time::Instant;

/// What is told of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It gives pictures.
    Online,
    /// It gives none, though somebody wants them.
    Offline,
}

/// Follows one camera.
#[derive(Debug, Default)]
pub(super) struct Steady {
    now: Option<Since>,
}

/// What a camera is, and since when: by both clocks, by that of the wall in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since {
    /// What it is.
    pub(super) presence: Presence,
    at: Instant,
    /// Since when.
    pub(super) millis: u64,
}

impl Steady {
    /// Takes what was seen just now, and gives what has been the same for `after`.
    ///
    /// A camera that is tried again after a failure is still away; one that begins anew after it had pictures has to show that they stay.
    pub(super) fn see(
        &mut self,
        condition: Condition,
        (now, millis): (Instant, u64),
        after: Duration,
    ) -> Option<Since> {
        let presence = match condition {
            Condition::Idle => {
                self.now = None;
                return None;
            }
            Condition::Starting => {
                self.now.take_if(|since| since.presence == Presence::Online);
                return None;
            }
            Condition::Live => Presence::Online,
            Condition::Stalled | Condition::Failed => Presence::Offline,
        };
        let since = match self.now {
            Some(since) if since.presence == presence => since,
            _ => *self.now.insert(Since { presence, at: now, millis }),
        };
        (now.saturating_duration_since(since.at) >= after).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(5);

    /// What is told of a camera that is seen so at these seconds.
    fn told(seen: &[(u64, Condition)]) -> Vec<(u64, Presence, u64)> {
        let (mut steady, begun) = (Steady::default(), Instant::now());
        let told = seen.iter().filter_map(|(second, condition)| {
            let now = (begun + Duration::from_secs(*second), second * 1000);
            let since = steady.see(*condition, now, AFTER)?;
            Some((*second, since.presence, since.millis / 1000))
        });
        told.collect()
    }

    #[test]
    fn what_stays_is_told_with_its_beginning() {
        use Condition::{Failed, Live, Stalled, Starting};
        use Presence::{Offline, Online};
        assert_eq!(told(&[(0, Starting), (1, Live), (5, Live), (6, Live)]), [(6, Online, 1)]);
        let tried = [(0, Stalled), (2, Failed), (3, Starting), (7, Starting), (8, Failed), (9, Live)];
        assert_eq!(told(&tried), [(8, Offline, 0)]);
    }

    #[test]
    fn what_changes_all_the_time_is_not() {
        use Condition::{Failed, Idle, Live, Starting};
        let flapping: Vec<_> =
            (0..60).map(|second| (second, if second % 4 < 2 { Live } else { Failed })).collect();
        assert_eq!(told(&flapping), []);
        let dying: Vec<_> =
            (0..60).map(|second| (second, if second % 4 < 3 { Live } else { Starting })).collect();
        assert_eq!(told(&dying), []);
        assert_eq!(told(&[(0, Live), (3, Idle), (4, Live), (8, Live)]), []);
    }
}
