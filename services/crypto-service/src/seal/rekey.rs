//! Changes by those who may: a new root key, a new seal key, and closing.
//!
//! The replica that begins a rekey keeps the new key in memory; shares of it that are brought elsewhere are told to it, and how far it is stands where all replicas
//! can read it.

use super::{
    Seal,
    shares::{Making, Purpose, Wish, parse},
    tell::Told,
};
use crate::{audit::Entry, error::Error, root_key, store::Table};
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
        self.announce(&making, 0).await?;
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

    /// `None` where the key was made on another replica.
    async fn confirm_here(&self, share: Share) -> Result<Option<bool>, Error> {
        let core = self.core()?;
        let mut collected = self.collected.lock().await;
        let Some(making) = collected.making(Purpose::Rekey) else { return Ok(None) };
        match making.bring(share) {
            Ok(None) => {
                self.announce(making, 0).await?;
                return Ok(Some(false));
            }
            Err(error) => {
                let wrong = self.rekey().await?.map_or(0, |rekey| rekey.wrong);
                self.announce(making, wrong.saturating_add(1)).await?;
                return Err(error);
            }
            Ok(Some(())) => {}
        }
        core.root.rekey(&making.initial, &core.store, making.entry.clone()).await?;
        let wrapped = core.root.wrap(PLACE, &making.initial.seal)?;
        collected.making = None;
        self.teller.tell(Told::SealKey(STANDARD.encode(wrapped))).await;
        self.context.backplane.delete(&place()).await?;
        Ok(Some(true))
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

    async fn announce(&self, making: &Making, wrong: u32) -> Result<(), Error> {
        let sharing = &making.initial.sharing;
        let rekey = Rekey {
            threshold: sharing.threshold,
            brought: making.brought.len(),
            set: sharing.set.clone(),
            wrong,
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
        // A share that was brought before changes nothing.
        Ok(false)
    }
}

fn place() -> Name {
    Name::new("crypto", "seal", "rekey")
}
