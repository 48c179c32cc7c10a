//! What comes in pieces may take as long as it likes; the next piece may not.

use std::time::Duration;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

/// Time for the next piece to come.
const NEXT_PIECE: Duration = Duration::from_secs(30);

/// Waits for the next piece; `None` is the end.
pub(crate) async fn next<T>(
    pieces: &mut (impl Stream<Item = Result<T, Status>> + Unpin),
) -> Result<Option<T>, Status> {
    let late = |_| Status::deadline_exceeded("the next piece did not come within 30 s of the one before");
    tokio::time::timeout(NEXT_PIECE, pieces.next()).await.map_err(late)?.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[tokio::test(start_paused = true)]
    async fn pieces_may_take_long_together_and_not_alone() {
        let slow = tokio_stream::iter(0..100).throttle(NEXT_PIECE / 2).map(Ok);
        let mut slow = Box::pin(slow);
        for number in 0..100 {
            assert_eq!(next(&mut slow).await.unwrap(), Some(number));
        }
        assert_eq!(next(&mut slow).await.unwrap(), None);
        let mut silent = tokio_stream::pending::<Result<(), Status>>();
        assert_eq!(next(&mut silent).await.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
