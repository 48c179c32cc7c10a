//! Names that arrive as text and are typed from then on.

use std::{fmt, sync::Arc};

/// A room's name: 1 to 128 bytes of `A-Z a-z 0-9 . _ - : / @`. No byte of it needs escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

/// Longest room name, in bytes.
pub const MAX_ROOM_NAME: usize = 128;

impl RoomId {
    /// Parses a name; `None` when it is empty, too long or has another character.
    pub fn parse(name: &str) -> Option<Self> {
        let well_formed = (1..=MAX_ROOM_NAME).contains(&name.len()) && name.bytes().all(is_room_byte);
        well_formed.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// The resource that scopes name: `room/<name>`.
    pub fn resource(&self) -> String {
        format!("room/{}", self.0)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_room_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/' | b'@')
}

/// A connection on this replica; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_are_checked() {
        for good in ["lobby", "a", "team/7:x@y.z_-"] {
            assert!(RoomId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "é", "$x", "a\"b", "a\nb", &"x".repeat(129)] {
            assert!(RoomId::parse(bad).is_none(), "{bad}");
        }
    }
}
