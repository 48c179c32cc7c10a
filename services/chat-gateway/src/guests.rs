//! Guests who come back. A guest's session names its user and is signed with a secret that all replicas share, so that after
//! a reconnect the guest is who it was: it may edit what it wrote, and a message that it sends again is not posted twice.

use aws_lc_rs::hmac;
use std::{fmt::Write as _, sync::Arc};

/// How a guest's user begins; a token's subject never does.
const PREFIX: &str = "guest:";
/// Bytes of the signature that are kept: 128 bits.
const TAG: usize = 16;

/// Issues and checks guests' sessions.
pub struct Guests {
    key: hmac::Key,
}

impl Guests {
    /// Uses a secret that all replicas share.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The user of a guest with this id, which has no dot.
    pub fn user(id: &str) -> Arc<str> {
        format!("{PREFIX}{id}").into()
    }

    /// The session with which a guest comes back: `<id>.<signature>`.
    pub fn session(&self, user: &str) -> String {
        let id = user.strip_prefix(PREFIX).unwrap_or(user);
        let mut session = String::with_capacity(id.len() + 1 + 2 * TAG);
        session.push_str(id);
        session.push('.');
        for byte in self.tag(id) {
            write!(session, "{byte:02x}").expect("a string takes everything");
        }
        session
    }

    /// The user of a session; `None` when it was not issued here.
    pub fn user_of(&self, session: &str) -> Option<Arc<str>> {
        let (id, _) = session.split_once('.')?;
        let expected = self.session(id);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), session.as_bytes());
        same.ok().map(|()| Self::user(id))
    }

    fn tag(&self, id: &str) -> impl Iterator<Item = u8> {
        let tag = hmac::sign(&self.key, id.as_bytes());
        let mut kept = [0; TAG];
        kept.copy_from_slice(&tag.as_ref()[..TAG]);
        kept.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_comes_back_as_who_it_was_and_as_nobody_else() {
        let guests = Guests::new(&[1; 32]);
        let user = Guests::user("0123456789abcdef");
        let session = guests.session(&user);
        assert_eq!(guests.user_of(&session), Some(user));
        let other = session.replacen('0', "1", 1);
        for forged in [other.as_str(), "", ".", "0123456789abcdef", "0123456789abcdef.", "x.y"] {
            assert_eq!(guests.user_of(forged), None, "{forged}");
        }
        assert_eq!(Guests::new(&[2; 32]).user_of(&session), None);
    }
}
