//! Changes by those who may: a new root key, a new seal key, and closing.
//!
//! The replica that begins a rekey keeps the new key in memory; shares of it that are brought elsewhere are told to it, and how far it is stands where all replicas
//! can read it.

use super::{
    Seal,
    shares::{Collected, Making, Purpose, Wish, parse},
    tell::Told,
};
use crate::{audit::Entry, core::Core, error::Error, root_key, store::Table};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_backplane::Name;
use patchbay_crypto::shamir::Share;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a rekey that was begun is told of.
const TOLD: Duration = Duration::from_mins(10);

/// How long it is waited for the replica that has begun a rekey.
const ANSWER: Duration = Duration::from_secs(3);

/// What a new seal key is wrapped for on its way to the other replicas.
const PLACE: &str = "seal-key";

/// A rekey that is under way, as all replicas may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rekey {
    pub(crate) threshold: u8,
    pub(crate) brought: usize,
    /// Identity of its shares, in hexadecimal.
    set: String,
    /// Shares that the replica which made them has heard of, whatever they brought: what changes with each of them.
    heard: u32,
    /// Wrong combinations so far.
    wrong: u32,
}

impl Seal {
    /// Makes a new root key, and lets everything be wrapped anew.
    pub(crate) async fn rotate_root(&self, entry: Entry) -> Result<(), Error> {
        let core = self.core()?;
        core.root.rotate(core.context.clock.now_millis(), &core.store, entry).await?;
        let rows = core.store.count(Table::Keys, "version/").await.unwrap_or_default();
        core.sweep.expect(rows);
        Ok(())
    }

    /// Forgets all keys, here at once and on the other replicas when they hear of it.
    pub(crate) async fn close_all(&self, entry: Entry) -> Result<(), Error> {
        let core = self.core()?;
        let row = root_key::read_sharing(&core.store).await?.ok_or(Error::SealNotShared)?;
        let expect = row.unchanged();
        let sharing = root_key::Sharing { closings: row.value.closings + 1, ..row.value };
        core.store.commit(vec![sharing.put(expect)?], entry).await?;
        drop(core);
        self.close().await;
        Ok(())
    }

    /// Makes a new seal key; it takes the place of the old one when enough of its shares have come back.
    pub(crate) async fn begin_rekey(
        &self,
        wish: Wish,
        entry: Entry,
    ) -> Result<Vec<Zeroizing<String>>, Error> {
        self.core()?;
        let (making, texts) = Making::begin(Purpose::Rekey, wish, entry)?;
        let mut collected = self.collected.lock().await;
        self.announce(&making).await?;
        collected.making = Some(making);
        Ok(texts)
    }

    /// Takes a share of the new key, or has it taken by the replica that made the key. Tells whether the new key is in use.
    pub(crate) async fn confirm_rekey(&self, text: &str) -> Result<bool, Error> {
        let share = parse(text)?;
        let rekey = self.rekey().await?.ok_or(Error::NoRekey)?;
        let set = hex::encode(share.set());
        if rekey.set != set {
            return Err(Error::ShareInvalid("it is no share of the key that was begun last".to_owned()));
        }
        if let Some(done) = self.confirm_here(share).await? {
            return Ok(done);
        }
        self.teller.tell(Told::Confirmation(text.to_owned())).await;
        self.wait_for_answer(&rekey).await
    }

    /// `None` where the key was made on another replica, also when an older one waits here: the one that was begun last is the one that counts.
    async fn confirm_here(&self, share: Share) -> Result<Option<bool>, Error> {
        let core = self.core()?;
        let mut collected = self.collected.lock().await;
        let making = collected.making(Purpose::Rekey).filter(|making| making.is_of(&share));
        let Some(making) = making else { return Ok(None) };
        match making.bring(share) {
            Ok(None) => {
                self.announce(making).await?;
                return Ok(Some(false));
            }
            Err(error) => {
                self.announce(making).await?;
                return Err(error);
            }
            Ok(Some(())) => {}
        }
        if let Err(error) = core.root.rekey(&making.initial, &core.store, making.entry.clone()).await {
            // The answer to a commit that has taken effect may be lost.
            if core.root.learn_seal(making.initial.seal.clone(), &core.store).await.is_err() {
                return Err(error);
            }
        }
        self.in_place(&core, &mut collected).await?;
        Ok(Some(true))
    }

    /// Whether the seal key that the store has now is the one that was made here: its commit was not answered.
    pub(super) async fn knows_new_key(&self, core: &Core) -> bool {
        let mut collected = self.collected.lock().await;
        let Some(making) = collected.making(Purpose::Rekey) else { return false };
        let learnt = core.root.learn_seal(making.initial.seal.clone(), &core.store).await;
        learnt.is_ok() && self.in_place(core, &mut collected).await.is_ok()
    }

    /// Tells the other replicas of the key that was made here and is in use now.
    async fn in_place(&self, core: &Core, collected: &mut Collected) -> Result<(), Error> {
        let Some(making) = collected.making.take() else { return Ok(()) };
        let wrapped = core.root.wrap(PLACE, &making.initial.seal)?;
        self.teller.tell(Told::SealKey(STANDARD.encode(wrapped))).await;
        if let Err(error) = self.context.backplane.delete(&place()).await {
            tracing::debug!(%error, "a rekey that is done is told of until it is forgotten");
        }
        Ok(())
    }

    /// Takes a share of a new key that was brought to another replica.
    pub(super) async fn on_confirmation(&self, text: &str) -> Result<(), Error> {
        self.confirm_here(parse(text)?).await.map(drop)
    }

    /// Takes a seal key that another replica has put in place.
    pub(super) async fn on_seal_key(&self, wrapped: &str) -> Result<(), Error> {
        let core = self.core()?;
        let wrapped = STANDARD.decode(wrapped).map_err(Error::internal)?;
        core.root.learn_seal(core.root.unwrap(PLACE, &wrapped)?, &core.store).await
    }

    /// The rekey that is under way.
    pub(crate) async fn rekey(&self) -> Result<Option<Rekey>, Error> {
        let Some(told) = self.context.backplane.get(&place()).await? else { return Ok(None) };
        serde_json::from_slice(&told.value).map(Some).map_err(Error::internal)
    }

    async fn announce(&self, making: &Making) -> Result<(), Error> {
        let sharing = &making.initial.sharing;
        let rekey = Rekey {
            threshold: sharing.threshold,
            brought: making.brought.len(),
            set: sharing.set.clone(),
            heard: making.heard,
            wrong: making.wrong,
        };
        let value = serde_json::to_vec(&rekey).map_err(Error::internal)?;
        self.context.backplane.set(&place(), value.into(), Some(TOLD)).await?;
        Ok(())
    }

    /// Waits until the replica that made the key has taken the share.
    async fn wait_for_answer(&self, before: &Rekey) -> Result<bool, Error> {
        let deadline = Instant::now() + ANSWER;
        while Instant::now() < deadline {
            match self.rekey().await? {
                None => {
                    let is_in_use = self.sharing().await?.is_some_and(|sharing| sharing.set == before.set);
                    return if is_in_use { Ok(true) } else { Err(Error::NoRekey) };
                }
                Some(now) if now.wrong != before.wrong => return Err(Error::SharesWrong),
                Some(now) if now != *before => return Ok(false),
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        // Every share changes what is announced: the replica that made the key is gone, and the key with it.
        Err(Error::NoRekey)
    }
}

fn place() -> Name {
    Name::new("crypto", "seal", "rekey")
}
