//! Initializing and rekeying, killed around the commit: what was answered holds, and otherwise one of both does, whole.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, is, is_cut_off, settings},
};
use anyhow::{Context, Result, ensure};
use integration_tests::{
    crypto::{Crypto, Installation},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{BeginRekeyRequest, ConfirmRekeyRequest};
use std::{path::Path, time::Duration};
use tokio::task::JoinSet;

const REKEYS: u64 = 16;
const STORES: u64 = 8;

fn on_file(folder: &Path) -> Result<Installation> {
    Installation::shared(folder, settings().set("backplane.file", &folder.join("store.redb").display()))
}

/// From before the commit to after the answer.
async fn kill_soon(replica: &mut Crypto, round: u64) -> Result<()> {
    tokio::time::sleep(Duration::from_micros(round * 7919 % 60_000)).await;
    replica.process.kill()?;
    replica.restart().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_that_is_killed_leaves_the_old_shares_or_the_new_ones() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let installation = on_file(folder.path())?;
    let mut replica = installation.start("crypto").await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    let mut shares = clients.initialize().await?[..3].to_vec();
    open(&clients, &shares).await?;
    clients.create("k").await?;
    let sealed = vec![clients.encrypt("k").await?];
    let (mut replaced, mut acknowledged) = (0, 0);
    for round in 0..REKEYS {
        let clients = Clients::connect(&replica, &installation.admin()?)?;
        let request = BeginRekeyRequest { shares: 3, threshold: 3 };
        let new = clients.seal.clone().begin_rekey(request).await?.into_inner().shares;
        let mut confirming = JoinSet::new();
        confirming.spawn(confirm(clients, new.clone()));
        kill_soon(&mut replica, round).await?;
        let was_answered = confirming.join_next().await.context("it was spawned")???;
        let clients = Clients::connect(&replica, &installation.admin()?)?;
        // The shares of the wrong set are refused by name.
        let is_new = !is(&clients.bring(&new[0]).await, "SHARE_INVALID");
        assert!(is_new || !was_answered, "a rekey was answered and is lost");
        if is_new {
            shares = new;
        }
        open(&clients, &shares).await?;
        clients.decrypt_all(&sealed).await?;
        clients.audit_is_whole().await?;
        (replaced, acknowledged) = (replaced + u64::from(is_new), acknowledged + u64::from(was_answered));
    }
    report(&format!(
        "{REKEYS} kills during rekeys: {replaced} took effect, of which {acknowledged} were answered; the store opened every time"
    ));
    Ok(())
}

/// Brings all shares; whether the last was answered.
async fn confirm(clients: Clients, shares: Vec<String>) -> Result<bool> {
    for share in shares {
        match clients.seal.clone().confirm_rekey(ConfirmRekeyRequest { share }).await {
            Ok(answer) if answer.get_ref().done => return Ok(true),
            Ok(_) => {}
            Err(status) => {
                ensure!(is_cut_off(&status), "{status:?}");
                return Ok(false);
            }
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_initialization_that_is_killed_has_happened_or_not() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (mut happened, mut acknowledged) = (0, 0);
    for round in 0..STORES {
        let folder = tempfile::tempdir()?;
        let installation = on_file(folder.path())?;
        let mut replica = installation.start("crypto").await?;
        let clients = Clients::connect(&replica, &installation.admin()?)?;
        let shares = clients.initialize().await?;
        clients.bring(&shares[0]).await?;
        clients.bring(&shares[1]).await?;
        let last = shares[2].clone();
        let mut bringing = JoinSet::new();
        bringing.spawn(async move { clients.bring(&last).await });
        kill_soon(&mut replica, round).await?;
        let was_answered = match bringing.join_next().await.context("it was spawned")?? {
            Ok(status) => !status.sealed,
            Err(status) => {
                ensure_cut_off(&status)?;
                false
            }
        };
        let clients = Clients::connect(&replica, &installation.admin()?)?;
        let is_initialized = clients.status().await?.initialized;
        assert!(is_initialized || !was_answered, "it was answered and is lost");
        let shares = if is_initialized { shares } else { clients.initialize().await? };
        open(&clients, &shares[1..4]).await?;
        clients.create("k").await?;
        clients.audit_is_whole().await?;
        happened += u64::from(is_initialized);
        acknowledged += u64::from(was_answered);
    }
    report(&format!(
        "{STORES} kills during initializations: {happened} took effect, of which {acknowledged} were answered"
    ));
    Ok(())
}

fn ensure_cut_off(status: &tonic::Status) -> Result<()> {
    ensure!(is_cut_off(status), "{status:?}");
    Ok(())
}

async fn open(clients: &Clients, shares: &[String]) -> Result<()> {
    for share in shares {
        clients.bring(share).await.map_err(anyhow::Error::from).context("a right share is taken")?;
    }
    ensure!(!clients.status().await?.sealed, "all shares were brought");
    Ok(())
}
