//! Names of devices, read by one rule.

use std::{fmt, path::Path, str::FromStr};

/// A video device: `/dev/video0` to `/dev/video999`, and nothing else that a path could name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DevicePath {
    number: u16,
    text: String,
}

/// A text that names no video device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a video device is written /dev/video0, with any number up to 999")]
pub struct NotADevice;

impl DevicePath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.text)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

impl FromStr for DevicePath {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        let digits = text.strip_prefix("/dev/video").ok_or(NotADevice)?;
        let is_plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = digits.len() == 1 || !digits.starts_with('0');
        match digits.parse() {
            Ok(number) if is_plain && is_short => Ok(Self { number, text: text.to_owned() }),
            _ => Err(NotADevice),
        }
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
