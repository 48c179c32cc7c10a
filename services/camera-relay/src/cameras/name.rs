//! Names of cameras.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Characters of a name at most.
pub const MAX_NAME: usize = 64;

/// Name of a camera: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.`, not beginning with a point. Upper and lower case are different. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CameraName(Arc<str>);

/// Why a text is no name of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_NAME} of a-z, A-Z, 0-9, `-`, `_` and `.`, and must not begin with a point")]
pub struct NameError;

impl CameraName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits =
            (1..=MAX_NAME).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_plain);
        fits.then(|| Self(text.into())).ok_or(NameError)
    }
}

impl TryFrom<String> for CameraName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<CameraName> for String {
    fn from(name: CameraName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for CameraName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "front-door", "Cam_2.high", &"x".repeat(64)] {
            assert_eq!(good.parse::<CameraName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert_eq!(bad.parse::<CameraName>(), Err(NameError), "{bad:?}");
        }
    }
}
