//! A file that plays in a loop.

use super::Violation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of a path below the media folder at most.
const MAX_PATH: usize = 1024;

/// A media file in the media folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileSpec {
    /// Path below `cameras.media_folder`.
    pub path: String,
}

impl FileSpec {
    /// Only what can be told without looking at the disk; the rest is looked at when the file is opened.
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        found.extend(below_folder(&self.path).map(|problem| Violation { field: "file.path", problem }));
    }
}

/// What is wrong with a path that shall lie below the media folder, as far as it tells itself.
pub(super) fn below_folder(path: &str) -> Option<String> {
    if path.is_empty() || path.len() > MAX_PATH {
        Some(format!("must be a path of 1 to {MAX_PATH} bytes below the media folder"))
    } else if path.chars().any(char::is_control) {
        Some("must not have control characters".to_owned())
    } else if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("must lie below the media folder: no leading `/`, no empty parts, no `.` and `..`".to_owned())
    } else {
        None
    }
}
