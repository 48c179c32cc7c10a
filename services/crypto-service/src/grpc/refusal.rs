//! Answers of management calls: what was refused is recorded too.

use crate::{audit::Entry, core::Core, error::Error};
use tonic::{Response, Status};

/// Bytes of a target that are recorded of a refused call: its caller may have sent anything.
const MAX_TARGET: usize = 200;

/// Turns what came of a call into its answer, and records a refusal. One that cannot be recorded is refused all the same.
pub(super) async fn answer<T>(
    core: &Core,
    mut entry: Entry,
    done: Result<T, Error>,
) -> Result<Response<T>, Status> {
    let error = match done {
        Ok(answer) => return Ok(Response::new(answer)),
        Err(error) => error,
    };
    // One that comes too often is not worth a row: whoever is refused for that could fill the disk with them.
    let is_kept = !matches!(
        error,
        Error::Unavailable | Error::Busy | Error::TooManyAttempts { .. } | Error::Internal(_)
    );
    if is_kept {
        entry.target = entry.target.chars().filter(|c| !c.is_control()).take(MAX_TARGET).collect();
        if let Err(error) = core.store.record(entry.refused(&error)).await {
            tracing::warn!(%error, "a refused call was not recorded");
        }
    }
    Err(error.into())
}
