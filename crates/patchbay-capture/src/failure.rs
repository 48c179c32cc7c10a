//! Failures to reach a source, in words for the user who looks at it.

use patchbay_egress::EgressError;
use patchbay_media::hub::{Reason, SourceError};

/// What a failure to connect means for a source.
pub fn of_egress(error: &EgressError) -> SourceError {
    let text = error.to_string();
    match error {
        EgressError::NameNotFound { .. } => SourceError::temporary(text).because(Reason::NameNotFound),
        EgressError::Forbidden { .. } => SourceError::permanent(text).because(Reason::Forbidden),
        EgressError::Refused { .. } => SourceError::temporary(text).because(Reason::Refused),
        EgressError::Unreachable { .. } => SourceError::temporary(text).because(Reason::Unreachable),
        EgressError::TimedOut { .. } => {
            let text = format!("{text}: is it on, and is the address right?");
            SourceError::temporary(text).because(Reason::TimedOut)
        }
    }
}
