//! ICE as a lite agent (RFC 8445, section 2.5): answers connectivity checks and sends none.
//!
//! Which datagram belongs to whom is told by the user name of the first check; later ones by where they come from.

use crate::sdp::Credentials;
use rand::RngExt as _;
use rtc_crypto::RTCCrypto;
use rtc_stun::{
    attributes::{
        ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
        RawAttribute,
    },
    error_code::CODE_ROLE_CONFLICT,
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{
        BINDING_REQUEST, CLASS_ERROR_RESPONSE, CLASS_SUCCESS_RESPONSE, METHOD_BINDING, Message, MessageType,
        Setter, is_stun_message,
    },
    xoraddr::XorMappedAddress,
};
use std::net::SocketAddr;

/// A connectivity check that has been read and not yet been believed.
pub(crate) struct Check {
    message: Message,
    /// User name fragment of the one it is for.
    pub(crate) ours: String,
    theirs: String,
}

/// Why a check was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("the password or the user name is not that of this session")]
    Credentials,
    #[error("the answer could not be written")]
    Write,
    #[error("the session has ended")]
    Over,
}

/// What a check led to.
pub(crate) struct Checked {
    /// Answer for the sender.
    pub(crate) response: Vec<u8>,
    /// What the sender wants with the path.
    pub(crate) verdict: Verdict,
}

/// What the offerer, which is in control, wants with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// See whether it works.
    Probed,
    /// Use it.
    Nominated,
    /// It believes that we are in control.
    RoleConflict,
}

/// The state of one session.
pub(crate) struct Agent {
    current: Description,
    /// Before the last restart: its checks are on their way for a while, and keep the session alive until there are new ones.
    previous: Option<Description>,
}

/// Credentials of both sides.
struct Description {
    local: Credentials,
    remote: Credentials,
}

/// First bytes tell STUN from DTLS and SRTP (RFC 7983).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4) && is_stun_message(datagram)
}

impl Check {
    /// Reads a check; nothing when it is another message, or broken.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        let mut message = Message::new();
        message.unmarshal_binary(datagram).ok()?;
        if message.typ != BINDING_REQUEST {
            return None;
        }
        let name = protected(&message).find(|attribute| attribute.typ == ATTR_USERNAME)?;
        let (ours, theirs) = std::str::from_utf8(&name.value).ok()?.split_once(':')?;
        let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
        Some(Self { message, ours, theirs })
    }

    fn says(&self, what: AttrType) -> bool {
        protected(&self.message).any(|attribute| attribute.typ == what)
    }
}

/// What stands behind the integrity is not covered by it, and is passed over (RFC 8489, section 14.5).
fn protected(message: &Message) -> impl Iterator<Item = &RawAttribute> {
    message.attributes.0.iter().take_while(|attribute| attribute.typ != ATTR_MESSAGE_INTEGRITY)
}

impl Agent {
    pub(crate) fn new(local: Credentials, remote: Credentials) -> Self {
        Self { current: Description { local, remote }, previous: None }
    }

    /// New credentials for the same session (RFC 8445, section 9: an ICE restart).
    pub(crate) fn restart(&mut self, local: Credentials, remote: Credentials) {
        let before = std::mem::replace(&mut self.current, Description { local, remote });
        self.previous = Some(before);
    }

    pub(crate) fn remote(&self) -> &Credentials {
        &self.current.remote
    }

    /// Believes a check, or does not, and writes the answer.
    pub(crate) fn answer(
        &self,
        check: &mut Check,
        from: SocketAddr,
        crypto: &dyn RTCCrypto,
    ) -> Result<Checked, CheckError> {
        let is_of = |description: &&Description| {
            check.ours == description.local.ufrag && check.theirs == description.remote.ufrag
        };
        let current = Some(&self.current).filter(is_of);
        let previous = self.previous.as_ref().filter(is_of);
        let description = current.or(previous).ok_or(CheckError::Credentials)?;
        // In constant time, as it compares what is secret.
        MessageIntegrity::check(&mut check.message, description.local.password.as_bytes(), crypto)
            .map_err(|_| CheckError::Credentials)?;
        let verdict = if check.says(ATTR_ICE_CONTROLLED) {
            Verdict::RoleConflict
        } else if check.says(ATTR_USE_CANDIDATE) && current.is_some() {
            Verdict::Nominated
        } else {
            Verdict::Probed
        };
        let response =
            description.response(&check.message, from, verdict, crypto).map_err(|_| CheckError::Write)?;
        Ok(Checked { response, verdict })
    }
}

impl Description {
    fn response(
        &self,
        request: &Message,
        from: SocketAddr,
        verdict: Verdict,
        crypto: &dyn RTCCrypto,
    ) -> rtc_shared::error::Result<Vec<u8>> {
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(self.local.password.clone(), crypto);
        let (class, body): (_, Box<dyn Setter>) = match verdict {
            Verdict::RoleConflict => (CLASS_ERROR_RESPONSE, Box::new(CODE_ROLE_CONFLICT)),
            Verdict::Probed | Verdict::Nominated => (
                CLASS_SUCCESS_RESPONSE,
                Box::new(XorMappedAddress { ip: from.ip().to_canonical(), port: from.port() }),
            ),
        };
        let kind = MessageType::new(METHOD_BINDING, class);
        let mut response = Message::new();
        response.build(&[
            Box::new(kind),
            Box::new(request.transaction_id),
            body,
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])?;
        Ok(response.raw)
    }
}

impl Credentials {
    /// Fresh ones: 8 and 24 characters, 47 and 142 bits (RFC 8839, section 5.4, asks for 24 and 128).
    pub(crate) fn random(rng: &mut impl rand::Rng) -> Self {
        Self { ufrag: ice_characters(rng, 8), password: ice_characters(rng, 24) }
    }
}

/// Characters that are allowed in credentials, but for `+` and `/`, which some agents escape.
fn ice_characters(rng: &mut impl rand::Rng, count: usize) -> String {
    const CHARACTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..count).map(|_| char::from(CHARACTERS[rng.random_range(0..CHARACTERS.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
    use rtc_stun::{message::TransactionId, textattrs::TextAttribute};

    fn agent() -> Agent {
        let credentials = |ufrag: &str, password: &str| Credentials {
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
        };
        Agent::new(credentials("ours", "the password of this server"), credentials("them", "another one"))
    }

    fn request(user: &str, password: &str, extra: Option<AttrType>) -> Vec<u8> {
        let provider = AwsLcRsProvider::new();
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
        let mut message = Message::new();
        let user = TextAttribute::new(ATTR_USERNAME, user.to_owned());
        message
            .build(&[Box::new(BINDING_REQUEST), Box::new(TransactionId([7; 12])), Box::new(user)])
            .unwrap();
        if let Some(extra) = extra {
            message.add(extra, &[]);
        }
        integrity.add_to(&mut message).unwrap();
        FINGERPRINT.add_to(&mut message).unwrap();
        message.raw
    }

    fn verdict(datagram: &[u8]) -> Option<Verdict> {
        verdict_of(&agent(), datagram)
    }

    fn verdict_of(agent: &Agent, datagram: &[u8]) -> Option<Verdict> {
        let provider = AwsLcRsProvider::new();
        let from = "192.0.2.1:5000".parse().unwrap();
        let mut check = Check::parse(datagram)?;
        agent.answer(&mut check, from, provider.crypto()).ok().map(|checked| {
            assert!(is_stun(&checked.response));
            checked.verdict
        })
    }

    #[test]
    fn checks_are_believed_by_user_name_and_password() {
        let right = "the password of this server";
        assert_eq!(verdict(&request("ours:them", right, None)), Some(Verdict::Probed));
        assert_eq!(verdict(&request("ours:them", right, Some(ATTR_USE_CANDIDATE))), Some(Verdict::Nominated));
        assert_eq!(
            verdict(&request("ours:them", right, Some(ATTR_ICE_CONTROLLED))),
            Some(Verdict::RoleConflict)
        );
        assert_eq!(verdict(&request("ours:them", "wrong", None)), None);
        assert_eq!(verdict(&request("ours:others", right, None)), None);
        assert_eq!(verdict(b"not STUN at all, but long enough"), None);
    }

    #[test]
    fn checks_from_before_a_restart_keep_the_session_and_choose_nothing() {
        let credentials = |ufrag: &str, password: &str| Credentials {
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
        };
        let mut agent = agent();
        let old = request("ours:them", "the password of this server", Some(ATTR_USE_CANDIDATE));
        agent.restart(credentials("new", "the next password of it"), credentials("they", "the next one"));
        assert_eq!(verdict_of(&agent, &old), Some(Verdict::Probed));
        let new = request("new:they", "the next password of it", Some(ATTR_USE_CANDIDATE));
        assert_eq!(verdict_of(&agent, &new), Some(Verdict::Nominated));
        assert_eq!(verdict_of(&agent, &request("new:they", "the password of this server", None)), None);
        agent.restart(credentials("newest", "a third password"), credentials("they", "a third one"));
        assert_eq!(verdict_of(&agent, &old), None);
    }

    #[test]
    fn what_is_added_behind_the_integrity_says_nothing() {
        let mut message = Message::new();
        message.unmarshal_binary(&request("ours:them", "the password of this server", None)).unwrap();
        message.add(ATTR_USE_CANDIDATE, &[]);
        assert_eq!(verdict(&message.raw), Some(Verdict::Probed));
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_no_check(mut datagram in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0_usize..200, with: u8) {
            proptest::prop_assert_ne!(verdict(&datagram), Some(Verdict::Nominated));
            datagram = request("ours:them", "the password of this server", None);
            let index = at % datagram.len();
            datagram[index] ^= with;
            if let Some(verdict) = verdict(&datagram) {
                // The fingerprint at the end, and the type's spare bits, are not under the integrity.
                proptest::prop_assert_eq!(verdict, Verdict::Probed);
            }
        }
    }
}
