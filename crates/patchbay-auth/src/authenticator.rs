//! Verifies tokens against the keys that are believed: those of the key set's file, which is read again when it
//! changes, and those that one of them has signed. What was revoked is refused.

use crate::{
    AuthConfig, Identity, Jwks, JwksError, KeySetChange, Revocation, TokenError,
    cache::{TokenCache, TokenHash},
    jwks::{KeySet, key_set},
    key_ring::KeyRing,
    key_set_token,
    revocation::Revocations,
    token::{self, LEEWAY},
};
use parking_lot::{Mutex, RwLock};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// How often the key set's file is looked at, in seconds: a key taken out of it stops working this soon, and a
/// flood of unknown key ids costs no more than this.
const POLL_SECONDS: u64 = 2;

/// Gives the time in Unix seconds.
pub type NowSeconds = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Why an authenticator cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The key set cannot be used.
    #[error(transparent)]
    Jwks(#[from] JwksError),
}

/// Decides who somebody is. Shared by every door of a process; all methods are cheap and never wait.
pub struct Authenticator {
    max_ttl: Duration,
    guest: Option<Arc<Identity>>,
    file: Option<KeyFile>,
    own_keys: Jwks,
    now: NowSeconds,
    keys: RwLock<KeyRing>,
    revoked: RwLock<Revocations>,
    revocations: watch::Sender<u64>,
    // A std-like mutex is right here: held for a map look-up, never across an await.
    cache: Mutex<TokenCache>,
}

impl Authenticator {
    /// Reads the key set; a configured file that is absent or unusable is an error.
    pub fn new(config: &AuthConfig) -> Result<Self, AuthError> {
        Self::with_keys(config, Jwks::default(), Arc::new(system_seconds))
    }

    /// Also believes keys that stand in no file, such as those the all-in-one makes in memory, and takes its time
    /// from `now`.
    pub fn with_keys(config: &AuthConfig, own_keys: Jwks, now: NowSeconds) -> Result<Self, AuthError> {
        let file = config.jwks_file.clone().map(KeyFile::new);
        let from_file = file.as_ref().map(KeyFile::read).transpose()?.unwrap_or_default();
        Ok(Self {
            max_ttl: config.max_ttl,
            guest: config.guest.enabled.then(|| Arc::new(Identity::guest(&config.guest.scopes))),
            keys: RwLock::new(KeyRing::new(all_keys(&own_keys, from_file)?)),
            revoked: RwLock::default(),
            revocations: watch::Sender::new(0),
            file,
            own_keys,
            now,
            cache: Mutex::default(),
        })
    }

    /// Verifies a token.
    pub fn verify(&self, token: &str) -> Result<Arc<Identity>, TokenError> {
        let now = (self.now)();
        self.reload_if_changed(now);
        let hash = TokenHash::of(token);
        if let Some(identity) = self.cache.lock().get(&hash) {
            return if is_over(&identity, now) {
                Err(TokenError::Expired)
            } else {
                self.unless_revoked(identity)
            };
        }
        // Held until the cache is written, so that a key set read meanwhile cannot clear the cache first.
        let keys = self.keys.read();
        let identity = Arc::new(token::verify(token, keys.all(), now, self.max_ttl)?);
        self.cache.lock().insert(hash, identity.clone());
        drop(keys);
        self.unless_revoked(identity)
    }

    /// Believes the keys of a set that an anchor has signed, in the place of those of the set before, which stop
    /// working at once. Anchors keep working.
    pub fn accept_key_set(&self, token: &str) -> Result<KeySetChange, TokenError> {
        let mut keys = self.keys.write();
        let published = key_set_token::verify(token, keys.anchors(), (self.now)())?;
        let change = keys.publish(published)?;
        if change != KeySetChange::Unchanged {
            self.cache.lock().clear();
        }
        Ok(change)
    }

    /// Refuses tokens from now on.
    pub fn revoke(&self, revocation: Revocation) {
        if self.revoked.write().add(revocation, (self.now)()) {
            self.revocations.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Tells whether a token that was good has been revoked since.
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        self.revoked.read().hit(identity)
    }

    /// Changes with every revocation: whoever holds connections looks again then whether [`Self::is_revoked`].
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    fn unless_revoked(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, TokenError> {
        if self.is_revoked(&identity) { Err(TokenError::Revoked) } else { Ok(identity) }
    }

    /// Returns who somebody without a token is; `None` when guests are not let in.
    pub fn guest(&self) -> Option<Arc<Identity>> {
        self.guest.clone()
    }

    /// The files are small and local, so reading them here, at most every [`POLL_SECONDS`], is cheaper than a task.
    fn reload_if_changed(&self, now: u64) {
        let Some(file) = &self.file else { return };
        if !file.has_changed(now) {
            return;
        }
        match file.read().and_then(|jwks| all_keys(&self.own_keys, jwks)) {
            Ok(fresh) => {
                let mut keys = self.keys.write();
                keys.replace_anchors(fresh);
                self.cache.lock().clear();
                tracing::info!(keys = keys.anchors().len(), "key set read again");
            }
            Err(error) => tracing::warn!(error = %error, "key set cannot be read again, the old one stays"),
        }
    }
}

fn is_over(identity: &Identity, now: u64) -> bool {
    identity.expires_at.is_some_and(|end| end.saturating_add(LEEWAY) <= now)
}

fn all_keys(own: &Jwks, mut from_file: Jwks) -> Result<KeySet, JwksError> {
    from_file.merge(own.clone());
    key_set(&from_file)
}

/// Where this crate's time comes from when no clock is given.
#[expect(
    clippy::disallowed_methods,
    reason = "the chassis gives its own clock; binaries without it need this one"
)]
pub(crate) fn system_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The same in seconds.
pub(crate) fn system_seconds() -> u64 {
    system_millis() / 1000
}

/// A key set's file and what was last seen of it.
struct KeyFile {
    path: PathBuf,
    stamp: Mutex<Option<Stamp>>,
    next_look: AtomicU64,
}

impl KeyFile {
    fn new(path: PathBuf) -> Self {
        let stamp = Mutex::new(stamp_of(&path));
        Self { path, stamp, next_look: AtomicU64::new(0) }
    }

    fn read(&self) -> Result<Jwks, JwksError> {
        Jwks::read(&self.path)
    }

    fn has_changed(&self, now: u64) -> bool {
        let due = self.next_look.load(Ordering::Relaxed);
        if now < due {
            return false;
        }
        let next = now + POLL_SECONDS;
        if self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        let seen = stamp_of(&self.path);
        let mut stamp = self.stamp.lock();
        // A file that is gone for a moment is one that is being replaced.
        let changed = seen.is_some() && *stamp != seen;
        if changed {
            *stamp = seen;
        }
        changed
    }
}

/// Tells one content of a file from the next. Two that are written within one tick of the file system's clock differ
/// in their inode, because a file is replaced and never written over.
type Stamp = (SystemTime, u64, u64);

fn stamp_of(path: &PathBuf) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), inode(&metadata)))
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
#[path = "authenticator_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod key_set_tests;
