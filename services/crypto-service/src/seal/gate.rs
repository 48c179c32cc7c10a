//! The gate before everything that needs keys: calls go through to the core that is there when they come, or are refused.

use super::{Open, Seal};
use crate::{error::Error, grpc};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, service::Routes};
use tower::ServiceExt;

/// What the chassis serves: the seal itself, and the gate before all other services.
pub(crate) fn routes(seal: &Arc<Seal>) -> Routes {
    let own = Routes::default().add_service(grpc::seal_server(seal)).into_axum_router();
    let seal = Arc::clone(seal);
    own.fallback(move |request: Request| {
        let seal = Arc::clone(&seal);
        async move { pass(&seal, request).await }
    })
    .into()
}

async fn pass(seal: &Seal, request: Request) -> Response {
    let Some(open) = seal.current() else {
        return refused(seal);
    };
    // The answer of any other call is all there when it begins.
    let is_stream = grpc::is_stream(request.uri().path());
    let answering = open.grpc.clone().oneshot(request);
    let ended = open.part.ended();
    // The call is asked first, so that one that answers at once costs nothing more.
    let answered = tokio::select! {
        biased;
        answered = answering => answered,
        () = ended.cancelled() => return refused(seal),
    };
    match answered {
        Ok(response) if is_stream => {
            let ended = ended.clone();
            response.map(|body| Body::new(UntilEnded::new(body, ended)))
        }
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

fn refused(seal: &Seal) -> Response {
    let response = Status::from(Error::Sealed).into_http();
    seal.metrics.answered(&response);
    response
}

impl Seal {
    /// The paths of REST, where the replica is open.
    pub(crate) fn rest(&self) -> Option<(Router, CancellationToken)> {
        self.current().map(|open: Arc<Open>| (open.rest.clone(), open.part.ended().clone()))
    }
}

/// An answer that breaks off when the seal is closed. Whoever waits for more of it would keep the keys in memory.
struct UntilEnded {
    /// Until it was cut off.
    body: Option<tonic::body::Body>,
    ended: CancellationToken,
    /// Only once there was something to wait for.
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl UntilEnded {
    fn new(body: tonic::body::Body, ended: CancellationToken) -> Self {
        Self { body: Some(body), ended, waiting: None }
    }
}

impl HttpBody for UntilEnded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { ended, waiting, body } = &mut *self;
        let Some(going_on) = body else { return Poll::Ready(None) };
        // First, because a body that always has more would go on otherwise.
        if !ended.is_cancelled() {
            if let Poll::Ready(frame) = Pin::new(going_on).poll_frame(context) {
                return Poll::Ready(frame);
            }
            let waiting = waiting.get_or_insert_with(|| Box::pin(ended.clone().cancelled_owned()));
            if waiting.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        *body = None;
        Poll::Ready(Some(Err(Error::Sealed.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    #[tokio::test]
    async fn an_answer_that_always_has_more_breaks_off_too() {
        let frame = || Ok::<_, Status>(Frame::data(Bytes::from_static(b"more")));
        let endless = StreamBody::new(stream::repeat_with(frame));
        let ended = CancellationToken::new();
        let mut body = UntilEnded::new(tonic::body::Body::new(endless), ended.clone());
        assert!(body.frame().await.unwrap().is_ok());
        ended.cancel();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }

    #[tokio::test]
    async fn an_answer_that_waits_for_more_is_woken_and_breaks_off() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>());
        let ended = CancellationToken::new();
        let mut body = UntilEnded::new(tonic::body::Body::new(silent), ended.clone());
        assert!(body.frame().now_or_never().is_none());
        let waiting = body.frame();
        ended.cancel();
        assert!(waiting.await.unwrap().is_err());
    }
}
