//! The keys that sign tokens: made here, wrapped in the store, and told to every process in a set that the issuer's own key has signed.
//!
//! All replicas sign with the same key. A new one is told before it signs; an old one is believed until its last token has ended. Until
//! the first key of an empty store signs, the issuer's own key does.

use super::{TOKEN_LIFE, TokensError};
use crate::{
    audit::Entry,
    config,
    error::Error,
    root_key::{Rewrapped, RootKey},
    store::{Row, Store, Table},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::RwLock;
use patchbay_auth::{Authenticator, Claims, Jwks, KeyOwner, Minted, Signer, TokenError, announce_key_set};
use patchbay_backplane::{Change, Expect, SharedBackplane};
use patchbay_chassis::{Clock, Context};
use patchbay_crypto::Secret;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// The one row: all keys change together.
const ROW: &str = "ring";

/// How long a key is told before it signs, in milliseconds.
const LEAD: u64 = 5_000;

/// For clocks of replicas that disagree, in seconds.
const SKEW: u64 = 60;

/// Keys at most. Rotating faster than old keys end is refused.
const MAX_KEYS: usize = 16;

/// How often the set is told again, in milliseconds, for a backplane that has lost it.
const TELL_EVERY: u64 = 60_000;

/// The keys as they are stored.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Ring {
    /// Rises with every change; never below the time in milliseconds, so that it rises too when the store was lost.
    sequence: u64,
    /// Oldest first.
    keys: Vec<StoredKey>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredKey {
    kid: String,
    /// PKCS#8, wrapped by the root key, in Base64.
    wrapped: String,
    public: Jwks,
    /// Unix seconds.
    created: u64,
    /// Unix milliseconds.
    signs_from: u64,
}

/// The keys as they are used.
#[derive(Default)]
struct Loaded {
    revision: u64,
    /// When it was told last, in Unix milliseconds; 0 is never.
    told: u64,
    /// Oldest first, each with the time from which it signs.
    signers: Vec<(u64, Arc<Signer>)>,
    public: Jwks,
}

/// The keys that sign.
pub(super) struct SigningKeys {
    issuer: Signer,
    store: Arc<Store>,
    root: Arc<RootKey>,
    backplane: SharedBackplane,
    auth: Arc<Authenticator>,
    clock: Clock,
    rotate_after: Duration,
    // Held for a look-up, never across an await.
    loaded: RwLock<Loaded>,
}

impl SigningKeys {
    pub(super) async fn open(
        config: &config::Tokens,
        context: &Context,
        store: &Arc<Store>,
        root: &Arc<RootKey>,
    ) -> Result<Self, TokensError> {
        let path = config.issuer_key_file.as_ref().ok_or(TokensError::NotConfigured)?;
        let keys = Self {
            issuer: Signer::load(path, KeyOwner::Issuer)?,
            store: Arc::clone(store),
            root: Arc::clone(root),
            backplane: context.backplane.clone(),
            auth: Arc::clone(&context.auth),
            clock: context.clock.clone(),
            rotate_after: config.rotate_after.duration(),
            loaded: RwLock::default(),
        };
        let row = keys.first().await?;
        match keys.accept(&row.value) {
            Ok(_) => {}
            Err(error) => return Err(TokensError::NotAnAnchor(error)),
        }
        if let Err(error) = keys.load(row).await {
            tracing::warn!(%error, "the keys that sign tokens are not told yet; the issuer's own key signs");
        }
        Ok(keys)
    }

    /// Reads the ring; makes it with its first key where there is none. Of two replicas, one makes it.
    async fn first(&self) -> Result<Row<Ring>, Error> {
        loop {
            if let Some(row) = self.store.get::<Ring>(Table::Signing, ROW).await? {
                return Ok(row);
            }
            let ring = self.with_new_key(Ring::default())?;
            let kid = newest(&ring);
            let change = Table::Signing.put(ROW, Expect::Absent, &ring)?;
            match self
                .store
                .commit(vec![change], Entry::by_service("token.rotate_key", &kid).detail("first"))
                .await
            {
                Ok(_) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn mint(&self, claims: Claims, now_ms: u64) -> Result<Minted, Error> {
        let loaded = self.loaded.read();
        let signing = loaded.signers.iter().rfind(|(from, _)| *from <= now_ms);
        let signer = signing.map_or(&self.issuer, |(_, signer)| signer);
        signer.mint_at(claims, now_ms).map_err(Error::internal)
    }

    /// The issuer's key and those that sign, as plain JWKS.
    pub(super) fn key_set(&self) -> Result<String, Error> {
        let mut keys = self.issuer.jwks();
        keys.merge(self.loaded.read().public.clone());
        serde_json::to_string(&keys).map_err(Error::internal)
    }

    /// Follows what other replicas have done, rotates when it is time, drops keys that have ended, and tells the set again.
    pub(super) async fn look(&self) -> Result<(), Error> {
        let row = self.first().await?;
        let now = self.clock.now_millis();
        let newest_created = row.value.keys.last().map_or(0, |key| key.created);
        if newest_created + self.rotate_after.as_secs() <= now / 1000 {
            // Tried once: after a conflict another replica has made the key, and the next look finds it.
            return match self.try_rotate(&Entry::by_service("token.rotate_key", "")).await {
                Ok((_, row)) => self.adopt(row).await,
                Err(Error::Conflict(_)) => Ok(()),
                Err(error) => Err(error),
            };
        }
        if ended(&row.value, now) > 0 {
            return self.drop_ended(row).await;
        }
        let (revision, told) = {
            let loaded = self.loaded.read();
            (loaded.revision, loaded.told)
        };
        if row.revision == revision && now < told + TELL_EVERY {
            return Ok(());
        }
        self.accept(&row.value).map_err(Error::internal)?;
        self.load(row).await
    }

    /// Makes a new key; returns its id.
    pub(super) async fn rotate(&self, entry: Entry) -> Result<String, Error> {
        let (kid, row) = crate::accounts::rows::retrying(|| self.try_rotate(&entry)).await?;
        self.adopt(row).await?;
        Ok(kid)
    }

    async fn adopt(&self, row: Row<Ring>) -> Result<(), Error> {
        self.accept(&row.value).map_err(Error::internal)?;
        if let Err(error) = self.load(row).await {
            tracing::warn!(%error, "a new key that signs tokens is not told yet; the one before signs until it is");
        }
        Ok(())
    }

    async fn try_rotate(&self, entry: &Entry) -> Result<(String, Row<Ring>), Error> {
        let row = self.first().await?;
        let expect = row.unchanged();
        let mut ring = row.value;
        ring.keys.drain(..ended(&ring, self.clock.now_millis()));
        if ring.keys.len() >= MAX_KEYS {
            return Err(Error::TooManyAttempts { after: Duration::from_secs(TOKEN_LIFE) });
        }
        let ring = self.with_new_key(ring)?;
        let kid = newest(&ring);
        let change = Table::Signing.put(ROW, expect, &ring)?;
        let entry = Entry { target: kid.clone(), ..entry.clone() };
        let revision = self.store.commit(vec![change], entry).await?;
        Ok((kid, Row { value: ring, revision }))
    }

    async fn drop_ended(&self, row: Row<Ring>) -> Result<(), Error> {
        let (expect, now) = (row.unchanged(), self.clock.now_millis());
        let mut ring = row.value;
        ring.keys.drain(..ended(&ring, now));
        ring.sequence = next_sequence(ring.sequence, now);
        let change = Table::Signing.put(ROW, expect, &ring)?;
        // The next look reads what was written, by this replica or by another.
        match self.store.commit_unrecorded(vec![change]).await {
            Ok(_) | Err(Error::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn with_new_key(&self, mut ring: Ring) -> Result<Ring, Error> {
        let now = self.clock.now_millis();
        let signer = Signer::generate(KeyOwner::Issuer).map_err(Error::internal)?;
        let kid = signer.kid().to_owned();
        let wrapped = self.root.wrap(&place(&kid), &Secret::new(signer.pkcs8().to_vec()))?;
        ring.sequence = next_sequence(ring.sequence, now);
        ring.keys.push(StoredKey {
            wrapped: STANDARD.encode(wrapped),
            public: signer.jwks(),
            created: now / 1000,
            signs_from: now + LEAD,
            kid,
        });
        Ok(ring)
    }

    /// A change that wraps anew what an older root key has wrapped, and how many keys that are.
    pub(super) async fn rewrapped(&self) -> Result<Option<(u64, Change)>, Error> {
        let Some(row) = self.store.get::<Ring>(Table::Signing, ROW).await? else { return Ok(None) };
        let (expect, mut ring, mut count) = (row.unchanged(), row.value, 0);
        for key in &mut ring.keys {
            let wrapped = STANDARD.decode(&key.wrapped).map_err(Error::internal)?;
            if let Rewrapped::Anew(wrapped) = self.root.rewrap(&place(&key.kid), &wrapped)? {
                key.wrapped = STANDARD.encode(wrapped);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        Ok(Some((count, Table::Signing.put(ROW, expect, &ring)?)))
    }

    /// Signs the set and believes it here.
    fn accept(&self, ring: &Ring) -> Result<String, TokenError> {
        let set =
            self.issuer.sign_key_set(&public(ring), ring.sequence).map_err(|_| TokenError::Malformed)?;
        match self.auth.accept_key_set(&set) {
            // Another replica's newer set has come over the backplane already.
            Ok(_) | Err(TokenError::OldKeySet) => Ok(set),
            Err(error) => Err(error),
        }
    }

    /// Tells the set to every process, and only then signs with its keys.
    async fn load(&self, row: Row<Ring>) -> Result<(), Error> {
        let ring = &row.value;
        let set = self.issuer.sign_key_set(&public(ring), ring.sequence).map_err(Error::internal)?;
        self.root.reload(&self.store).await?;
        let signers = ring.keys.iter().map(|key| Ok((key.signs_from, Arc::new(self.open_key(key)?))));
        let signers = signers.collect::<Result<Vec<_>, Error>>()?;
        announce_key_set(&self.backplane, &set).await?;
        let told = self.clock.now_millis();
        let mut loaded = self.loaded.write();
        if loaded.revision <= row.revision {
            *loaded = Loaded { revision: row.revision, told, signers, public: public(ring) };
        }
        Ok(())
    }

    fn open_key(&self, key: &StoredKey) -> Result<Signer, Error> {
        let wrapped = STANDARD.decode(&key.wrapped).map_err(Error::internal)?;
        let document = self.root.unwrap(&place(&key.kid), &wrapped)?;
        Signer::from_pkcs8(document.expose(), KeyOwner::Issuer).map_err(Error::internal)
    }
}

/// What a wrapped key is bound to.
fn place(kid: &str) -> String {
    format!("signing/{kid}")
}

fn newest(ring: &Ring) -> String {
    ring.keys.last().map(|key| key.kid.clone()).unwrap_or_default()
}

fn public(ring: &Ring) -> Jwks {
    let mut all = Jwks::default();
    ring.keys.iter().for_each(|key| all.merge(key.public.clone()));
    all
}

fn next_sequence(last: u64, now_ms: u64) -> u64 {
    (last + 1).max(now_ms)
}

/// How many keys, from the oldest on, have signed nothing that still lives.
fn ended(ring: &Ring, now_ms: u64) -> usize {
    let followers = ring.keys.iter().skip(1);
    followers.take_while(|next| next.signs_from + (TOKEN_LIFE + SKEW) * 1000 <= now_ms).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(signs_from: &[u64]) -> Ring {
        let keys = signs_from.iter().map(|from| StoredKey {
            kid: from.to_string(),
            wrapped: String::new(),
            public: Jwks::default(),
            created: from / 1000,
            signs_from: *from,
        });
        Ring { sequence: 1, keys: keys.collect() }
    }

    #[test]
    fn a_key_stays_until_the_last_token_of_it_has_ended() {
        let life = (TOKEN_LIFE + SKEW) * 1000;
        let ring = ring(&[0, 10_000, 20_000]);
        assert_eq!(ended(&ring, 10_000 + life - 1), 0);
        assert_eq!(ended(&ring, 10_000 + life), 1);
        assert_eq!(ended(&ring, 1_000_000_000), 2, "the newest stays");
    }

    #[test]
    fn the_sequence_rises_when_the_clock_does_not_and_when_the_store_was_lost() {
        assert_eq!(next_sequence(5, 3), 6);
        assert_eq!(next_sequence(0, 1_700_000_000_000), 1_700_000_000_000);
    }
}
