//! How replicas tell each other of shares: over a channel, encrypted with a key that comes from the service's own, which all replicas have. Redis sees
//! ciphertext only, and what it keeps of it opens nothing later: messages are good for a short time, and once.

use crate::error::Error;
use bytes::Bytes;
use parking_lot::Mutex;
use patchbay_backplane::{Name, SharedBackplane};
use patchbay_chassis::{Clock, Context, StartError};
use patchbay_crypto::{Secret, aead};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use zeroize::{Zeroize, Zeroizing};

/// How far the clocks of replicas may be apart, and how long a message may be on its way, in milliseconds.
const FRESH: u64 = 30_000;

/// Messages remembered. With more of them in the time that one is good, the oldest could be taken a second time, which brings nothing new.
const REMEMBERED: usize = 1024;

/// What is authenticated beside a message.
const BOUND: &[u8] = b"patchbay seal v1";

/// What one replica tells the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// A share was brought.
    Share(String),
    /// A share of a new key was brought.
    Confirmation(String),
    /// A new seal key is in place: in Base64, wrapped by the newest root key, which only replicas have that are open.
    SealKey(String),
    /// What was brought is to be forgotten.
    Reset,
}

impl Drop for Told {
    fn drop(&mut self) {
        match self {
            Self::Share(text) | Self::Confirmation(text) | Self::SealKey(text) => text.zeroize(),
            Self::Reset => {}
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Message {
    id: String,
    node: String,
    /// In milliseconds since 1970.
    at: u64,
    told: Told,
}

/// Tells and hears.
pub(super) struct Teller {
    backplane: SharedBackplane,
    clock: Clock,
    node: String,
    ids: patchbay_chassis::Ids,
    key: aead::Key,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    ids: VecDeque<String>,
    /// Messages from before are not taken: the seal was closed since.
    since: u64,
}

impl Teller {
    pub(super) fn new(context: &Context) -> Result<Self, StartError> {
        let secret = Zeroizing::new(context.secret("seal"));
        let key = aead::Key::new(aead::Algorithm::Xaes256Gcm, &*secret)
            .map_err(|error| StartError::failed("make the key that shares are told with", error))?;
        Ok(Self {
            backplane: context.backplane.clone(),
            clock: context.clock.clone(),
            node: context.node.to_string(),
            ids: context.ids.clone(),
            key,
            heard: Mutex::default(),
        })
    }

    pub(super) fn channel() -> Name {
        Name::new("crypto", "seal", "shares")
    }

    /// Tells all other replicas. One that does not hear it has to be told by people.
    pub(super) async fn tell(&self, told: Told) {
        if let Err(error) = self.publish(told).await {
            tracing::warn!(%error, "the other replicas were not told of a share");
        }
    }

    async fn publish(&self, told: Told) -> Result<(), Error> {
        let message = Message {
            id: self.ids.random_hex(16),
            node: self.node.clone(),
            at: self.clock.now_millis(),
            told,
        };
        let plain = Secret::new(serde_json::to_vec(&message).map_err(Error::internal)?);
        let mut sealed = Vec::new();
        self.key.seal_into(BOUND, plain.expose(), &mut sealed).map_err(Error::internal)?;
        Ok(self.backplane.publish(&Self::channel(), sealed.into()).await?)
    }

    /// Reads what was told; `None` where it is this replica's own, cannot be believed or was heard before.
    pub(super) fn hear(&self, payload: &Bytes) -> Option<Told> {
        let Ok(plain) = self.key.open(BOUND, payload) else {
            tracing::warn!(
                "another replica has told of a share under another service key: set the same auth.service_key_file on all"
            );
            return None;
        };
        let message: Message = serde_json::from_slice(plain.expose()).ok()?;
        if message.node == self.node || self.clock.now_millis().abs_diff(message.at) > FRESH {
            return None;
        }
        let mut heard = self.heard.lock();
        if message.at <= heard.since || heard.ids.contains(&message.id) {
            return None;
        }
        if heard.ids.len() >= REMEMBERED {
            heard.ids.pop_front();
        }
        heard.ids.push_back(message.id);
        Some(message.told)
    }

    /// Takes nothing that was told before now.
    pub(super) fn forget(&self) {
        self.heard.lock().since = self.clock.now_millis();
    }
}
