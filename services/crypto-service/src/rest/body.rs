//! A request's body as a stream of pieces, and word of whether it has ended or broken off.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use patchbay_transcode::Problem;
use std::{future::pending, time::Duration};
use tokio::sync::mpsc;

/// Bytes of a piece at most; what comes in larger ones is cut.
const CHUNK: usize = 256 * 1024;

/// Room for the one thing that can go wrong with a body.
const ONE: usize = 1;

/// Tells when a body breaks off.
pub(super) struct Breaks(mpsc::Receiver<Problem>);

impl Breaks {
    /// Waits until it does, for ever where it does not. Cancel-safe.
    pub(super) async fn next(&mut self) -> Problem {
        match self.0.recv().await {
            Some(problem) => problem,
            None => pending().await,
        }
    }
}

/// The body in pieces, each of which comes within `idle` of the one before. When it breaks off or stands still, that is told, and the stream never ends: what reads it
/// must not take a part for the whole.
pub(super) fn pieces(body: Body, idle: Duration) -> (impl Stream<Item = Bytes> + Send + 'static, Breaks) {
    let (broken, breaks) = mpsc::channel(ONE);
    (chunks(body, idle, broken), Breaks(breaks))
}

fn chunks(
    body: Body,
    idle: Duration,
    broken: mpsc::Sender<Problem>,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let pieces = stream::unfold((body.into_data_stream(), broken), move |(mut body, broken)| async move {
        let problem = match tokio::time::timeout(idle, body.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(piece))) => return Some((piece, (body, broken))),
            Ok(Some(Err(_))) => Problem::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body broke off"),
            Err(_) => Problem::too_slow(),
        };
        // Nobody listens any more only when the request is over.
        drop(broken.send(problem).await);
        pending().await
    });
    pieces.flat_map(|piece| stream::iter(cut(piece)))
}

fn cut(mut piece: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while piece.len() > CHUNK {
        pieces.push(piece.split_to(CHUNK));
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn cuts_without_losing_anything() {
        let whole = Bytes::from(vec![7; 2 * CHUNK + 5]);
        let pieces = cut(whole.clone());
        assert_eq!((pieces.len(), pieces.concat()), (3, whole.to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_is_told_and_does_not_end() {
        let (broken, mut breaks) = mpsc::channel(ONE);
        let stuck =
            stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"ab"))]).chain(stream::pending());
        let mut pieces = Box::pin(chunks(Body::from_stream(stuck), Duration::from_secs(9), broken));
        assert_eq!(pieces.next().await.unwrap(), "ab");
        let ended = tokio::select! {
            ended = pieces.next() => panic!("it must not end: {ended:?}"),
            problem = breaks.recv() => problem,
        };
        assert_eq!(ended.unwrap().reason, "REQUEST_TIMEOUT");
        assert!(Body::empty().collect().await.is_ok());
    }
}
