//! Tokens, sessions and the keys that sign.
//!
//! `signing` has the keys and tells every process of them; `revoking` tells every process what ended; `sessions` are what refresh tokens
//! belong to.

pub(crate) mod mint;
mod revoking;
pub(crate) mod sessions;
pub(crate) mod sign_in;
mod signing;

use crate::{
    accounts::secrets::RefreshSecrets,
    config::CryptoConfig,
    error::Error,
    root_key::{Derivation, RootKey},
    store::Store,
};
use patchbay_auth::{Claims, Minted, SignerError, TokenError};
use patchbay_backplane::Change;
use patchbay_chassis::{Clock, Context};
use prometheus_client::metrics::gauge::Gauge;
use revoking::Revoking;
use signing::SigningKeys;
use std::{sync::Arc, time::Duration};

/// How often it is looked what other replicas have done, and what was not told yet.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Longest life of a token, in seconds: 15 minutes, and 60 s for clocks that disagree.
const TOKEN_LIFE: u64 = 15 * 60 + 60;

/// Why tokens cannot be issued.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// There is no issuer's key.
    #[error("tokens.issuer_key_file must be set (`patchbay init-secrets` makes the file)")]
    NotConfigured,
    /// The issuer's key cannot be used.
    #[error("the issuer's key in tokens.issuer_key_file cannot be used")]
    Key(#[from] SignerError),
    /// Nobody would believe it.
    #[error("the public half of the key in tokens.issuer_key_file does not stand in auth.jwks_file")]
    NotAnAnchor(#[source] TokenError),
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[from] Error),
}

/// The issuer of tokens.
pub struct Tokens {
    keys: Arc<SigningKeys>,
    revoking: Arc<Revoking>,
    store: Arc<Store>,
    clock: Clock,
    ttl: Duration,
    refresh_secrets: RefreshSecrets,
}

impl Tokens {
    /// Reads the keys that sign, making the first one where there is none.
    pub async fn open(
        config: &CryptoConfig,
        context: &Context,
        store: &Arc<Store>,
        root: &Arc<RootKey>,
    ) -> Result<Self, TokensError> {
        let keys = SigningKeys::open(&config.tokens, context, store, root).await?;
        Ok(Self {
            keys: Arc::new(keys),
            revoking: Arc::new(Revoking::new(context, store)),
            store: Arc::clone(store),
            clock: context.clock.clone(),
            ttl: config.tokens.ttl.duration(),
            refresh_secrets: RefreshSecrets::new(&root.derive(Derivation::Refresh)),
        })
    }

    /// Spawns what rotates keys, tells what was revoked, and ends sessions.
    pub fn spawn_tasks(&self, context: &Context) {
        let (keys, revoking, stop) =
            (Arc::clone(&self.keys), Arc::clone(&self.revoking), context.shutdown.hard());
        context.tasks.spawn_critical("signing-keys", async move {
            stop.run_until_cancelled(look(keys, revoking)).await;
        });
        let (store, clock, stop) = (Arc::clone(&self.store), self.clock.clone(), context.shutdown.hard());
        let help = "Sessions in the store that have not ended, counted every 10 minutes";
        let open = context.metrics.register("open_sessions", help, Gauge::default());
        context.tasks.spawn_critical("sessions", async move {
            stop.run_until_cancelled(sessions::sweep(store, clock, open)).await;
        });
    }

    /// Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_millis()
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_millis() / 1000
    }

    /// Signs a token, from a time that was taken before anything was read that it depends on. It lives as long as is configured, or less.
    pub(crate) fn mint(&self, mut claims: Claims, now_ms: u64) -> Result<Minted, Error> {
        claims.ttl = claims.ttl.min(self.ttl);
        self.keys.mint(claims, now_ms)
    }

    /// As [`Self::mint`], for as long as the claims say.
    pub(crate) fn mint_for(&self, claims: Claims, now_ms: u64) -> Result<Minted, Error> {
        self.keys.mint(claims, now_ms)
    }

    /// Makes and knows the secrets of refresh tokens.
    pub(crate) fn refresh_secrets(&self) -> &RefreshSecrets {
        &self.refresh_secrets
    }

    /// The public keys, as JSON.
    pub(crate) fn key_set(&self) -> Result<String, Error> {
        self.keys.key_set()
    }

    /// Makes a new key that signs soon; returns its id.
    pub(crate) async fn rotate(&self, entry: crate::audit::Entry) -> Result<String, Error> {
        self.keys.rotate(entry).await
    }

    /// As [`SigningKeys::rewrapped`].
    pub(crate) async fn rewrapped(&self) -> Result<Option<(u64, Change)>, Error> {
        self.keys.rewrapped().await
    }

    /// A change by which all tokens that a subject has end, once it is committed and [`Self::flush`] was called.
    pub(crate) fn revoke_subject(&self, subject: &str) -> Result<Change, Error> {
        self.revoking.subject(subject)
    }

    /// As [`Self::revoke_subject`], for the tokens of a session.
    pub(crate) fn revoke_session(&self, session: &str) -> Result<Change, Error> {
        self.revoking.session(session)
    }

    /// As [`Self::revoke_subject`], for one token.
    pub(crate) fn revoke_token(&self, id: &str, expires_at: u64) -> Result<Change, Error> {
        self.revoking.token(id, expires_at)
    }

    /// Tells all processes what was revoked. What cannot be told now is told soon: it stands in the store.
    pub(crate) async fn flush(&self) {
        if let Err(error) = self.revoking.flush().await {
            tracing::warn!(%error, "a revocation was not told yet");
        }
    }
}

async fn look(keys: Arc<SigningKeys>, revoking: Arc<Revoking>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = keys.look().await {
            tracing::debug!(%error, "the keys that sign cannot be looked at");
        }
        if let Err(error) = revoking.flush().await {
            tracing::debug!(%error, "revocations cannot be told");
        }
    }
}
