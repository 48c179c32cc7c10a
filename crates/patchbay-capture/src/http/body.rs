//! What comes after the head of an answer.

use super::{HttpError, wire::Wire};
use crate::CaptureLimits;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// What may come faster than the limit at first, in seconds of the limit.
const BURST: Duration = Duration::from_secs(2);
/// Longest wait that one piece can bring about.
const LONGEST: Duration = Duration::from_mins(1);

/// A body, read piece by piece.
pub struct Body {
    incoming: Incoming,
    wire: Wire,
    limits: CaptureLimits,
    pace: Pace,
    /// What was read already, and comes next.
    ahead: Bytes,
}

impl Body {
    pub(super) fn new(incoming: Incoming, wire: Wire, limits: CaptureLimits) -> Self {
        let pace = Pace { per_second: limits.bytes_per_second.max(1), paid: Instant::now() };
        Self { incoming, wire, limits, pace, ahead: Bytes::new() }
    }

    /// The next piece; nothing at the end. Waits for the limit on bytes a second, and at most the limit on stalls. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        sleep_until(self.pace.due()).await;
        let within = self.limits.stall_timeout;
        loop {
            let frame = timeout(within, self.wire.drive(self.incoming.frame())).await;
            match frame.map_err(|_| HttpError::Stalled(within.as_secs()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(HttpError::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if !data.is_empty() {
                        self.pace.add(data.len(), Instant::now());
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// How what is left begins: at least so many bytes, where it does not end before. They come again. Waits at most the limit on stalls for all of them.
    pub async fn peek(&mut self, least: usize) -> Result<Bytes, HttpError> {
        let within = self.limits.stall_timeout;
        let reading = async {
            let mut head = Vec::new();
            while head.len() < least {
                let Some(piece) = self.next().await? else { break };
                head.extend_from_slice(&piece);
            }
            Ok(Bytes::from(head))
        };
        let head: Result<Bytes, HttpError> =
            timeout(within, reading).await.map_err(|_| HttpError::Stalled(within.as_secs()))?;
        self.ahead = head?;
        Ok(self.ahead.clone())
    }

    /// The whole body, where it is no longer than `most`.
    pub async fn whole(mut self, most: usize) -> Result<Option<Bytes>, HttpError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > most {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.into()))
    }
}

/// What may come when. Whoever sends faster is held back by the window of the connection; who was slow before has nothing to spare from that.
struct Pace {
    per_second: u64,
    /// Up to when all that has come would have come at the limit.
    paid: Instant,
}

impl Pace {
    fn add(&mut self, bytes: usize, now: Instant) {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000)
            / u128::from(self.per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid = self.paid.max(now) + cost.min(LONGEST);
    }

    /// When the next piece may be read.
    fn due(&self) -> Instant {
        self.paid.checked_sub(BURST).unwrap_or(self.paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_hours_earn_no_flood() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace { per_second: 1_000, paid: start };
        pace.add(2_000, start);
        assert!(pace.due() <= start, "a burst of two seconds passes");
        let later = start + Duration::from_hours(1);
        pace.add(2_000, later);
        assert!(pace.due() <= later);
        pace.add(3_000, later);
        assert_eq!(pace.due(), later + 3 * second, "and no more than that, after an hour either");
    }
}
