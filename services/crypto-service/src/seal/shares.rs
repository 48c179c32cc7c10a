//! Shares that people bring: until there are enough of them to open the replica, to initialize the store, or to put a new key in place.

use super::{Seal, follow::fresh_store, tell::Told};
use crate::{
    audit::Entry,
    error::Error,
    root_key::{self, Initial, RootKey, RootKeyError, Sharing},
};
use patchbay_crypto::{
    Secret,
    shamir::{self, Share},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Shares where the caller does not say how many are made and needed.
const SHARES: u32 = 5;
const THRESHOLD: u32 = 3;

/// How long a new key waits for its shares.
const PENDING: Duration = Duration::from_mins(10);

/// How a key is to be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    shares: u8,
    threshold: u8,
}

/// What has been brought so far.
#[derive(Default)]
pub(super) struct Collected {
    /// Different shares of the key in use, all of one set.
    brought: Vec<Share>,
    /// A new key, on the replica that made it.
    pub(super) making: Option<Making>,
}

/// What a new key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Initialize,
    Rekey,
}

/// A new key whose shares were given out and must come back before it is in effect.
pub(super) struct Making {
    purpose: Purpose,
    pub(super) initial: Initial,
    set: [u8; 4],
    pub(super) brought: Vec<Share>,
    until: Instant,
    /// Shares that came, and how often they were wrong together.
    pub(super) heard: u32,
    pub(super) wrong: u32,
    /// Who began it.
    pub(super) entry: Entry,
}

/// How far the collecting has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) shares: u8,
    pub(crate) threshold: u8,
    pub(crate) brought: usize,
}

impl Wish {
    /// Reads a request, in which 0 is the usual number.
    pub(crate) fn parse(shares: u32, threshold: u32) -> Result<Self, Error> {
        let (shares, threshold) = match (shares, threshold) {
            (0 | 1, 1) | (1, 0) => (1, 1),
            (0, threshold) => (SHARES, if threshold == 0 { THRESHOLD } else { threshold }),
            (shares, 0) => (shares, THRESHOLD),
            given => given,
        };
        if !(1..=255).contains(&shares) {
            return Err(Error::bad("shares", "must be 1 to 255"));
        }
        if threshold > shares || threshold == 0 || (threshold == 1 && shares > 1) {
            return Err(Error::bad(
                "threshold",
                format!("must be 2 to {shares}, or 1 where one share is made"),
            ));
        }
        let narrow = |number| u8::try_from(number).map_err(Error::internal);
        Ok(Self { shares: narrow(shares)?, threshold: narrow(threshold)? })
    }
}

impl Making {
    /// Makes a key and its shares.
    pub(super) fn begin(purpose: Purpose, wish: Wish, entry: Entry) -> Result<(Self, Texts), Error> {
        let secret = RootKey::new_seal_key()?;
        let shares = shamir::split(&secret, wish.shares, wish.threshold).map_err(Error::internal)?;
        let set = shares.first().map(Share::set).unwrap_or_default();
        let sharing =
            Sharing { shares: wish.shares, threshold: wish.threshold, set: hex::encode(set), closings: 0 };
        let entry = entry.detail(format!("{} of {} shares", wish.threshold, wish.shares));
        let initial = Initial { seal: secret, sharing };
        let until = Instant::now() + PENDING;
        let texts = shares.iter().map(Share::to_text).collect();
        Ok((Self { purpose, initial, set, brought: Vec::new(), until, heard: 0, wrong: 0, entry }, texts))
    }

    /// Takes a share; the key where it is the last that is needed and all are right.
    pub(super) fn bring(&mut self, share: Share) -> Result<Option<()>, Error> {
        self.heard = self.heard.saturating_add(1);
        add(&mut self.brought, share);
        if self.brought.len() < usize::from(self.initial.sharing.threshold) {
            return Ok(None);
        }
        let brought = std::mem::take(&mut self.brought);
        let is_right = shamir::combine(&brought).is_ok_and(|secret| secret == self.initial.seal);
        if is_right {
            return Ok(Some(()));
        }
        self.wrong = self.wrong.saturating_add(1);
        Err(Error::SharesWrong)
    }

    /// Whether a share is one of those that were made here.
    pub(super) fn is_of(&self, share: &Share) -> bool {
        self.set == share.set()
    }

    fn progress(&self) -> Progress {
        let Sharing { shares, threshold, .. } = self.initial.sharing;
        Progress { shares, threshold, brought: self.brought.len() }
    }
}

/// Texts of shares, which are overwritten when they were given out.
type Texts = Vec<Zeroizing<String>>;

impl Collected {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The new key that waits for a share, where there is one for this purpose.
    pub(super) fn making(&mut self, purpose: Purpose) -> Option<&mut Making> {
        if self.making.as_ref().is_some_and(|making| making.until <= Instant::now()) {
            self.making = None;
        }
        self.making.as_mut().filter(|making| making.purpose == purpose)
    }

    fn is_made_here(&mut self, share: &Share) -> bool {
        self.making(Purpose::Initialize).is_some_and(|making| making.is_of(share))
    }
}

/// Adds a share that is not there yet. One with the index of another takes its place: either may be the wrong one.
fn add(brought: &mut Vec<Share>, share: Share) {
    brought.retain(|known| known.index() != share.index());
    brought.push(share);
}

/// Reads the text of a share.
pub(super) fn parse(text: &str) -> Result<Share, Error> {
    match Share::parse(text) {
        Ok(share) if share.secret_length() == root_key::LENGTH => Ok(share),
        Ok(_) => Err(Error::ShareInvalid("it is no share of a seal key".to_owned())),
        Err(error) => Err(Error::ShareInvalid(error.to_string())),
    }
}

/// Refuses a share that was not made for this seal.
fn check(share: &Share, sharing: &Sharing) -> Result<(), Error> {
    let is_ours = hex::encode(share.set()) == sharing.set
        && share.threshold() == sharing.threshold
        && share.total() == sharing.shares;
    let foreign = "it belongs to another set: it is from another installation, or from before a rekey";
    is_ours.then_some(()).ok_or_else(|| Error::ShareInvalid(foreign.to_owned()))
}

impl Seal {
    /// Makes the key of an empty store; nothing is in effect until enough of its shares have come back.
    pub(crate) async fn initialize(&self, wish: Wish, entry: Entry) -> Result<Texts, Error> {
        if !self.config.root_key.shares {
            return Err(Error::SealNotShared);
        }
        if self.is_initialized().await? {
            return Err(Error::AlreadyInitialized);
        }
        let (making, texts) = Making::begin(Purpose::Initialize, wish, entry)?;
        *self.collected.lock().await = Collected { brought: Vec::new(), making: Some(making) };
        Ok(texts)
    }

    /// Takes a share that somebody brings from an address, and tells the other replicas of it. Only what is refused is counted: a share of this seal is
    /// taken whatever others have brought, or whoever reaches this call could keep the seal closed.
    pub(crate) async fn unseal(self: &Arc<Self>, text: &str, client: &str) -> Result<(), Error> {
        let done = match parse(text) {
            Ok(share) => self.bring(share, Some(text)).await,
            Err(error) => Err(error),
        };
        match done {
            Err(Error::ShareInvalid(why)) => {
                self.check_guesses(client).await?;
                self.count_guess(client).await?;
                Err(Error::ShareInvalid(why))
            }
            done => done,
        }
    }

    /// Forgets what was brought, here and elsewhere. It costs an attempt and is rare in all, because anybody may do it.
    pub(crate) async fn reset(&self, client: &str) -> Result<(), Error> {
        self.check_guesses(client).await?;
        self.count_guess(client).await?;
        self.count_reset().await?;
        self.forget_brought().await;
        self.teller.tell(Told::Reset).await;
        Ok(())
    }

    async fn forget_brought(&self) {
        let mut collected = self.collected.lock().await;
        collected.brought.clear();
        if let Some(making) = collected.making(Purpose::Initialize) {
            making.brought.clear();
        }
    }

    /// Takes a share. `told` is its text where the other replicas are to hear of it.
    async fn bring(self: &Arc<Self>, share: Share, told: Option<&str>) -> Result<(), Error> {
        let mut collected = self.collected.lock().await;
        let is_made_here = collected.is_made_here(&share);
        if !is_made_here && let Some(sharing) = self.expected_sharing().await? {
            check(&share, &sharing)?;
        }
        if let Some(text) = told {
            self.teller.tell(Told::Share(text.to_owned())).await;
        }
        if is_made_here {
            return self.bring_first(&mut collected, share).await;
        }
        if self.current().is_some() {
            return Ok(());
        }
        if collected.brought.first().is_some_and(|first| first.set() != share.set()) {
            collected.brought.clear();
        }
        add(&mut collected.brought, share);
        self.try_open(&mut collected).await
    }

    /// Takes a share of the key that this replica has made for an empty store.
    async fn bring_first(self: &Arc<Self>, collected: &mut Collected, share: Share) -> Result<(), Error> {
        let Some(making) = collected.making(Purpose::Initialize) else { return Ok(()) };
        let Some(()) = making.bring(share)? else { return Ok(()) };
        let (entry, now) = (making.entry.clone(), self.context.clock.now_millis());
        let done = root_key::initialize(&making.initial, now, &fresh_store(self), entry).await;
        let seal = making.initial.seal.clone();
        match done {
            Ok(()) => {}
            // By this very key, when a commit was not answered that has taken effect.
            Err(Error::AlreadyInitialized) if self.is_sharing(&making.initial.sharing.set).await? => {}
            Err(Error::AlreadyInitialized) => {
                collected.clear();
                return Err(Error::AlreadyInitialized);
            }
            // The commit may have taken effect all the same: then the same shares open what is there.
            Err(error) => return Err(error),
        }
        let threshold = making.initial.sharing.threshold;
        collected.clear();
        self.open_with(seal, threshold).await
    }

    /// Whether the store is opened with the shares of this set.
    async fn is_sharing(&self, set: &str) -> Result<bool, Error> {
        Ok(self.sharing().await?.is_some_and(|sharing| sharing.set == set))
    }

    /// Opens the replica where enough shares have come and the store has the key that they are of.
    async fn try_open(self: &Arc<Self>, collected: &mut Collected) -> Result<(), Error> {
        let Some(first) = collected.brought.first() else { return Ok(()) };
        let needed = usize::from(first.threshold());
        let Some(enough) = collected.brought.get(..needed) else { return Ok(()) };
        let Some(sharing) = self.sharing().await? else { return Ok(()) };
        if let Err(error) = check(first, &sharing) {
            collected.brought.clear();
            return Err(error);
        }
        let combined = shamir::combine(enough).map_err(|_| Error::SharesWrong);
        let opened = match combined {
            Ok(seal) => self.open_with(seal, sharing.threshold).await,
            Err(error) => Err(error),
        };
        // Where the store does not answer they are kept, for the next try.
        match opened {
            Ok(()) => collected.clear(),
            Err(Error::SharesWrong) => collected.brought.clear(),
            Err(_) => {}
        }
        opened
    }

    async fn open_with(self: &Arc<Self>, seal: Secret, threshold: u8) -> Result<(), Error> {
        let root = match RootKey::open_shared(seal, &fresh_store(self)).await {
            Ok(Some(root)) => root,
            Ok(None) => return Ok(()),
            Err(RootKeyError::Wrong) => return Err(Error::SharesWrong),
            Err(RootKeyError::Store(error)) => return Err(error),
            Err(error) => return Err(Error::internal(error)),
        };
        self.open(root).await.map_err(Error::internal)?;
        let core = self.core()?;
        let entry = Entry::by_service("seal.unseal", &core.context.node.0);
        core.store.record(entry.detail(format!("{threshold} shares"))).await?;
        if let Err(error) = crate::accounts::setup_link(&core).await {
            tracing::warn!(%error, "the link for the first account could not be made");
        }
        tracing::info!("this replica is open");
        Ok(())
    }

    /// Tries again with what has been brought: the store may answer now, or another replica has initialized it.
    pub(super) async fn try_collected(self: &Arc<Self>) -> Result<(), Error> {
        let mut collected = self.collected.lock().await;
        if self.current().is_none() {
            return self.try_open(&mut collected).await;
        }
        collected.brought.clear();
        Ok(())
    }

    /// Does what another replica has told.
    pub(super) async fn on_told(self: &Arc<Self>, told: Told) {
        let done = match &told {
            Told::Share(text) => match parse(text) {
                Ok(share) => self.bring(share, None).await,
                Err(error) => Err(error),
            },
            Told::Confirmation(text) => self.on_confirmation(text).await,
            Told::SealKey(wrapped) => self.on_seal_key(wrapped).await,
            Told::Reset => {
                self.forget_brought().await;
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "what another replica has told of a share came to nothing");
        }
    }

    /// How far the collecting has come, for the key in use or the first one.
    pub(crate) async fn progress(&self) -> Progress {
        let mut collected = self.collected.lock().await;
        if let Some(making) = collected.making(Purpose::Initialize) {
            return making.progress();
        }
        let Some(first) = collected.brought.first() else { return Progress::default() };
        Progress { shares: first.total(), threshold: first.threshold(), brought: collected.brought.len() }
    }
}
