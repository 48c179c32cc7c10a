//! Pictures and sound for pages that WebRTC does not reach: fragmented MP4 over WebSocket.

use patchbay_chassis::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pictures and sound over WebSocket, as fragmented MP4 for Media Source Extensions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mse {
    /// A viewer that is further behind goes on at the newest key frame.
    pub patience: Span,
    /// Time within which a viewer must take something of what it is sent; then it is gone.
    pub write_timeout: Span,
    /// How long the viewer page waits for WebRTC before it takes this way; "0s" for at once.
    pub fallback_after: Span,
}

impl Default for Mse {
    fn default() -> Self {
        Self {
            patience: Span::seconds(2),
            write_timeout: Span::seconds(10),
            fallback_after: Span::seconds(5),
        }
    }
}
