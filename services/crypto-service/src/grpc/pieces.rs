//! What comes in pieces may take as long as it likes; the next piece may not.

use std::time::Duration;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

/// Waits for the next piece, which must come within `patience` (`limits.request_timeout`); `None` is the end.
pub(crate) async fn next<T>(
    pieces: &mut (impl Stream<Item = Result<T, Status>> + Unpin),
    patience: Duration,
) -> Result<Option<T>, Status> {
    let late = |_| {
        let problem = format!("the next piece did not come within {patience:?} of the one before");
        Status::deadline_exceeded(problem)
    };
    tokio::time::timeout(patience, pieces.next()).await.map_err(late)?.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn pieces_may_take_long_together_and_not_alone() {
        let slow = tokio_stream::iter(0..100).throttle(PATIENCE / 2).map(Ok);
        let mut slow = Box::pin(slow);
        for number in 0..100 {
            assert_eq!(next(&mut slow, PATIENCE).await.unwrap(), Some(number));
        }
        assert_eq!(next(&mut slow, PATIENCE).await.unwrap(), None);
        let mut silent = tokio_stream::pending::<Result<(), Status>>();
        assert_eq!(next(&mut silent, PATIENCE).await.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
