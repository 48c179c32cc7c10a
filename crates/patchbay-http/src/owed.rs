//! What a connection's peer waits for.

use axum::body::Body;
use bytes::Bytes;
use hyper::{
    Response,
    body::{Body as _, Frame, SizeHint},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// Bytes of an answer that are handed over at once: what has been handed over is not known to be on its way, so this is
/// how coarsely we see whether a slow client still reads.
const PIECE: usize = 16 * 1024;

/// How many answers of a connection we have yet to give. An answer is owed from the request's head on; when a piece of its
/// body has been handed over it is the peer's turn, until the next piece is asked for.
#[derive(Clone, Default)]
pub(crate) struct Owed(Arc<watch::Sender<usize>>);

impl Owed {
    pub(crate) fn incur(&self) -> Debt {
        let mut debt = Debt { owed: self.clone(), stands: false };
        debt.set(true);
        debt
    }

    /// Returns when nothing has been owed for so long without a break.
    pub(crate) async fn none_for(&self, patience: Duration) {
        let mut count = self.0.subscribe();
        // The sender is ours, so neither can fail.
        while count.wait_for(|count| *count == 0).await.is_ok() {
            if timeout(patience, count.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// One answer.
pub(crate) struct Debt {
    owed: Owed,
    stands: bool,
}

impl Debt {
    fn set(&mut self, stands: bool) {
        if self.stands == stands {
            return;
        }
        self.stands = stands;
        self.owed.0.send_modify(|count| *count = if stands { *count + 1 } else { count.saturating_sub(1) });
    }

    /// The answer, with the debt as long as its body.
    pub(crate) fn carry(self, answer: Response<Body>) -> Response<Paid> {
        answer.map(|body| Paid { body, rest: Bytes::new(), debt: self })
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The body of an answer, in pieces.
pub(crate) struct Paid {
    body: Body,
    /// What has come from the body and is not handed over.
    rest: Bytes,
    debt: Debt,
}

impl Paid {
    fn piece(&mut self) -> Frame<Bytes> {
        Frame::data(self.rest.split_to(self.rest.len().min(PIECE)))
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
            Ok(data) => {
                self.rest = data;
                self.piece()
            }
            Err(frame) => frame,
        })))
    }
}

impl hyper::body::Body for Paid {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = self.next(context);
        self.debt.set(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
#[path = "owed_tests.rs"]
mod tests;
