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
    let ended = open.part.ended();
    let answering = open.grpc.clone().oneshot(request);
    drop(open);
    // The call is asked first, so that one that answers at once costs nothing more.
    tokio::select! {
        biased;
        answered = answering => match answered {
            Ok(response) => response.map(|body| Body::new(UntilEnded::new(body, ended))),
            Err(never) => match never {},
        },
        () = ended.cancelled() => refused(seal),
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
        self.current().map(|open: Arc<Open>| (open.rest.clone(), open.part.ended()))
    }
}

/// An answer that breaks off when the seal is closed. Whoever waits for more of it would keep the keys in memory.
struct UntilEnded {
    body: tonic::body::Body,
    ended: CancellationToken,
    /// Only once there was something to wait for.
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl UntilEnded {
    fn new(body: tonic::body::Body, ended: CancellationToken) -> Self {
        Self { body, ended, waiting: None }
    }
}

impl HttpBody for UntilEnded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let Self { ended, waiting, body } = &mut *self;
        let waiting = waiting.get_or_insert_with(|| Box::pin(ended.clone().cancelled_owned()));
        if waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        *body = tonic::body::Body::empty();
        Poll::Ready(Some(Err(Error::Sealed.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
