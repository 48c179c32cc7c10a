//! What keys are used for: one operation on one message, and many of them in one call.
//!
//! An operation is a request message that knows its key, its size and how to compute its answer. Permission, limits, counting of nonces and
//! the choice between computing at once and on the pool are the same for all, and stand here.

mod agreement;
mod format;
mod seal;
mod sign;

use crate::{
    caller::Caller,
    core::Core,
    error::Error,
    keyring::{LoadedKey, LoadedVersion, Material},
};
use std::sync::Arc;

pub(crate) use agreement::{EncapsulateFor, SealFor, encapsulate_for, seal_for};
pub(crate) use format::text_form;

/// Messages computed in one go before others get their turn.
const TURN: usize = 64;

/// One use of a key.
pub(crate) trait Operation: Send + Sized + 'static {
    /// Its answer.
    type Response: Send + 'static;

    /// Its word in a scope.
    const WORD: &'static str;

    /// Name of the key.
    fn key(&self) -> &str;

    /// Bytes of all that it carries.
    fn size(&self) -> usize;

    /// Refuses what is wrong with the message itself.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The version whose nonces it uses up, where it encrypts.
    fn encrypts_with<'k>(&self, _key: &'k LoadedKey) -> Result<Option<&'k Arc<LoadedVersion>>, Error> {
        Ok(None)
    }

    /// Whether it takes so long that it must not be computed among quick ones.
    fn is_slow(&self, key: &LoadedKey) -> bool {
        let _ = key;
        false
    }

    /// Computes the answer.
    fn run(self, key: &LoadedKey) -> Result<Self::Response, Error>;
}

/// An operation that may be computed.
struct Admitted<O> {
    operation: O,
    key: Arc<LoadedKey>,
}

impl<O: Operation> Admitted<O> {
    fn run(self) -> Result<O::Response, Error> {
        self.operation.run(&self.key)
    }

    fn is_slow(&self) -> bool {
        self.operation.is_slow(&self.key)
    }
}

/// Does one operation.
pub(crate) async fn one<O: Operation>(
    core: &Core,
    caller: &Caller,
    operation: O,
) -> Result<O::Response, Error> {
    let answer = match admit(core, caller, operation, None).await {
        Ok(admitted) if admitted.is_slow() => core.pool.sign(move || admitted.run()).await?,
        Ok(admitted) => admitted.run(),
        Err(error) => Err(error),
    };
    core.metrics.operations.inc_by(u64::from(answer.is_ok()));
    answer
}

/// Does several operations; each has its own answer, in order.
pub(crate) async fn many<O: Operation>(
    core: &Core,
    caller: &Caller,
    operations: Vec<O>,
) -> Result<Vec<Result<O::Response, Error>>, Error> {
    let limit = core.config.limits.batch;
    if operations.len() > limit {
        return Err(Error::bad("items", format!("has {} items; {limit} are allowed", operations.len())));
    }
    let mut answers: Vec<Option<Result<O::Response, Error>>> = Vec::with_capacity(operations.len());
    let mut slow = Vec::new();
    let mut last: Option<Arc<LoadedKey>> = None;
    for (index, operation) in operations.into_iter().enumerate() {
        if index % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let admitted = admit(core, caller, operation, last.as_ref()).await;
        answers.push(match admitted {
            Ok(admitted) => {
                last = Some(Arc::clone(&admitted.key));
                if admitted.is_slow() {
                    slow.push((index, admitted));
                    None
                } else {
                    Some(admitted.run())
                }
            }
            Err(error) => Some(Err(error)),
        });
    }
    for (index, answer) in run_slow(core, slow).await? {
        if let Some(place) = answers.get_mut(index) {
            *place = Some(answer);
        }
    }
    let missing = || Err(Error::internal("an item of a batch was not computed"));
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect();
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    core.metrics.operations.inc_by(done as u64);
    Ok(answers)
}

type Indexed<T> = Vec<(usize, T)>;

/// Computes on the pool, divided among its threads.
async fn run_slow<O: Operation>(
    core: &Core,
    slow: Indexed<Admitted<O>>,
) -> Result<Indexed<Result<O::Response, Error>>, Error> {
    if slow.is_empty() {
        return Ok(Vec::new());
    }
    let share = slow.len().div_ceil(core.pool.sign_threads()).max(1);
    let mut slow = slow.into_iter();
    let mut jobs = Vec::new();
    loop {
        let part: Vec<_> = slow.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        jobs.push(core.pool.sign(move || {
            part.into_iter().map(|(index, admitted)| (index, admitted.run())).collect::<Vec<_>>()
        }));
    }
    let parts = futures_util::future::try_join_all(jobs).await?;
    Ok(parts.into_iter().flatten().collect())
}

/// Whether the caller may, with a key that can; `last` is the key of the item before, which is usually the same.
async fn admit<O: Operation>(
    core: &Core,
    caller: &Caller,
    operation: O,
    last: Option<&Arc<LoadedKey>>,
) -> Result<Admitted<O>, Error> {
    let known = last.filter(|key| *key.name == *operation.key());
    let key = if let Some(key) = known {
        Arc::clone(key)
    } else {
        caller.require_key(O::WORD, operation.key())?;
        match core.keyring.cached(operation.key()) {
            Some(key) => key,
            None => core.keyring.get(operation.key()).await?,
        }
    };
    let limit = core.config.limits.message.0;
    if operation.size() as u64 > limit {
        return Err(Error::TooLarge { what: "the message", limit });
    }
    operation.check()?;
    if let Some(version) = operation.encrypts_with(&key)?
        && !core.keyring.try_reserve(version, 1)
    {
        core.keyring.reserve(&key, version, 1).await?;
    }
    Ok(Admitted { operation, key })
}

/// Material of the newest version: what type it is, all versions are.
fn newest(key: &LoadedKey) -> Option<&Material> {
    key.versions.last_key_value().map(|(_, version)| &version.material)
}

/// What keys of the wrong type are told: what they cannot, and which can.
mod told {
    pub(super) const ENCRYPT: &str = "encrypt messages; symmetric and RSA keys can, chunked keys have EncryptStream, X25519 and ECDH keys SealHpke, ML-KEM keys Encapsulate";
    pub(super) const DECRYPT: &str = "decrypt messages; symmetric and RSA keys can, chunked keys have DecryptStream, X25519 and ECDH keys OpenHpke, ML-KEM keys Decapsulate";
    pub(super) const SEAL_ENVELOPES: &str =
        "seal envelopes; RSA keys can, and X25519 and ECDH keys have SealHpke";
    pub(super) const OPEN_ENVELOPES: &str =
        "open envelopes; RSA keys can, and X25519 and ECDH keys have OpenHpke";
    pub(super) const SIGN: &str = "sign; Ed25519, ECDSA, RSA and ML-DSA keys can";
    pub(super) const VERIFY: &str = "verify signatures; Ed25519, ECDSA, RSA and ML-DSA keys can";
    pub(super) const HMAC: &str = "compute HMACs; keys of type hmac can";
    pub(super) const VERIFY_HMAC: &str = "verify HMACs; keys of type hmac can";
}

/// The error for a type of key that cannot do that.
fn cannot(key: &LoadedKey, operation: &'static str) -> Error {
    Error::KeyType { key_type: key.header.key_type.word(), operation }
}
