//! Time for an upstream's answer. It begins anew with every piece of the request's body, because some answers come
//! only after the last byte of a large file: what is bounded is silence, not the upload.

use axum::body::Body;
use http_body_util::BodyExt;
use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// When a request's body has moved last.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

/// There was silence for too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Silent;

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// The same body, whose pieces are noticed as they go by.
    pub(super) fn watch(&self, body: Body) -> Body {
        let progress = self.clone();
        Body::new(body.map_frame(move |frame| {
            *progress.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            frame
        }))
    }

    /// Waits for an answer until nothing has moved for `limit`.
    pub(super) async fn answer<F: Future>(&self, answer: F, limit: Duration) -> Result<F::Output, Silent> {
        let mut answer = pin!(answer);
        loop {
            let deadline = self.last() + limit;
            match timeout_at(deadline, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if self.last() + limit <= deadline => return Err(Silent),
                Err(_) => {}
            }
        }
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use tokio::time::sleep;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn silence_is_bounded() {
        let begun = Instant::now();
        assert_eq!(Progress::new().answer(std::future::pending::<()>(), LIMIT).await, Err(Silent));
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_may_take_longer() {
        let progress = Progress::new();
        let answered = progress.answer(
            async {
                for _ in 0..5 {
                    sleep(LIMIT * 9 / 10).await;
                    let piece = progress.watch(Body::from(Bytes::from_static(b"piece")));
                    assert_eq!(piece.collect().await.expect("it is in memory").to_bytes(), "piece");
                }
            },
            LIMIT,
        );
        assert_eq!(answered.await, Ok(()));
    }
}
