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

/// A body, read piece by piece.
pub struct Body {
    incoming: Incoming,
    wire: Wire,
    limits: CaptureLimits,
    begun: Instant,
    bytes: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, wire: Wire, limits: CaptureLimits) -> Self {
        Self { incoming, wire, limits, begun: Instant::now(), bytes: 0 }
    }

    /// The next piece; nothing at the end. Waits for the limit on bytes a second, and at most the limit on stalls. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        sleep_until(self.begun + self.owed()).await;
        let within = self.limits.stall_timeout;
        loop {
            let frame = timeout(within, self.wire.drive(self.incoming.frame())).await;
            match frame.map_err(|_| HttpError::Stalled(within.as_secs()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(HttpError::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if !data.is_empty() {
                        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                        return Ok(Some(data));
                    }
                }
            }
        }
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

    /// How long what has come may take at least. Whoever sends faster is held back by the window of the connection.
    fn owed(&self) -> Duration {
        let most = self.limits.bytes_per_second.max(1);
        let millis = u128::from(self.bytes) * 1_000 / u128::from(most);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).saturating_sub(BURST)
    }
}
