//! Compares what is stored with what was acknowledged.

use crate::worker::{Clients, Course, OwnAccount, OwnKey, SHARED, Sealed, State, Worker};
use anyhow::{Context, Result, ensure};
use patchbay_proto::crypto::v1::{
    DecryptBatchRequest, DecryptRequest, GetAccountRequest, GetKeyRequest, ListAuditRequest,
    VerifyAuditRequest, decrypt_result::Outcome,
};
use std::collections::HashMap;
use tonic::Code;

/// Compares what was changed since the last time; `thorough`ly, everything.
pub(crate) async fn stored(
    clients: &Clients,
    workers: &mut [Worker],
    course: &Course,
    thorough: bool,
) -> Result<()> {
    for worker in workers {
        for key in &mut worker.keys {
            if thorough || key.unknown > 0 || key.sealed.iter().any(|sealed| !sealed.is_checked) {
                check_key(clients, key).await?;
                check_ciphertexts(clients, key, thorough).await?;
            }
        }
        worker.keys.retain(|key| key.latest > 0);
        for account in &mut worker.accounts {
            if thorough || account.possible.len() > 1 {
                check_account(clients, account).await?;
            }
        }
    }
    check_shared(clients, course).await
}

async fn check_key(clients: &Clients, key: &mut OwnKey) -> Result<()> {
    let (least, most) = (key.latest, key.latest + key.unknown);
    key.latest = versions(clients, &key.name, least == 0).await?;
    key.unknown = 0;
    let stored = key.latest;
    ensure!((least..=most).contains(&stored), "{}: {stored} versions, not {least} to {most}", key.name);
    Ok(())
}

async fn check_shared(clients: &Clients, course: &Course) -> Result<()> {
    let latest = versions(clients, SHARED, false).await?;
    let mut shared = course.shared.lock().expect("nobody panics with it");
    // A version that was made twice would be missing here.
    let least = shared.settled + shared.acknowledged;
    let most = least + shared.unknown;
    ensure!((least..=most).contains(&latest), "{SHARED}: {latest} versions, not {least} to {most}");
    ensure!(shared.newest <= latest, "{SHARED}: {} was told, {latest} is the newest", shared.newest);
    shared.settled = latest;
    shared.acknowledged = 0;
    shared.unknown = 0;
    Ok(())
}

/// Number of versions, which are there without a hole; 0 where there is no key and there may be none.
async fn versions(clients: &Clients, name: &str, may_be_missing: bool) -> Result<u32> {
    let asked = clients.keys.clone().get_key(GetKeyRequest { name: name.into() }).await;
    let key = match asked {
        Err(status) if may_be_missing && status.code() == Code::NotFound => return Ok(0),
        asked => asked.with_context(|| format!("{name} was acknowledged"))?.into_inner(),
    };
    let key = key.key.context("the key is told")?;
    let numbers: Vec<u32> = key.versions.iter().map(|version| version.version).collect();
    ensure!(numbers == (1..=key.latest_version).collect::<Vec<_>>(), "{name}: versions {numbers:?}");
    Ok(key.latest_version)
}

async fn check_ciphertexts(clients: &Clients, key: &mut OwnKey, thorough: bool) -> Result<()> {
    let asked: Vec<&mut Sealed> =
        key.sealed.iter_mut().filter(|sealed| thorough || !sealed.is_checked).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let item = |sealed: &&mut Sealed| DecryptRequest {
        key: key.name.clone(),
        ciphertext: sealed.ciphertext.clone(),
        ..Default::default()
    };
    let request = DecryptBatchRequest { items: asked.iter().map(item).collect() };
    let results = clients.data.clone().decrypt_batch(request).await?.into_inner().results;
    ensure!(results.len() == asked.len(), "{}: {} results", key.name, results.len());
    for (sealed, result) in asked.into_iter().zip(results) {
        let Some(Outcome::Ok(opened)) = result.outcome else {
            anyhow::bail!("{}: a ciphertext of version {} is lost", key.name, sealed.version)
        };
        ensure!(opened.plaintext == sealed.plaintext && opened.key_version == sealed.version);
        sealed.is_checked = true;
    }
    Ok(())
}

async fn check_account(clients: &Clients, account: &mut OwnAccount) -> Result<()> {
    let request = GetAccountRequest { name: account.name.clone() };
    let state: State = match clients.accounts.clone().get_account(request).await {
        Err(status) if status.code() == Code::NotFound => None,
        asked => {
            let found = asked?.into_inner().account.context("the account is told")?;
            Some((found.display_name, found.disabled))
        }
    };
    ensure!(account.possible.contains(&state), "{}: {state:?}, not {:?}", account.name, account.possible);
    account.possible = vec![state];
    Ok(())
}

/// Every replica that ever lived has left a chain of records, and each is whole.
pub(crate) async fn audit_chains(clients: &Clients) -> Result<usize> {
    let chains = clients.admin.clone().verify_audit(VerifyAuditRequest {}).await?.into_inner().chains;
    for chain in &chains {
        ensure!(chain.is_whole, "the chain of {} is broken at {}", chain.node, chain.broken_at);
    }
    Ok(chains.len())
}

/// Each version has exactly one record of its making, since both are one commit. Returns how many keys, ciphertexts and
/// accounts there are.
pub(crate) async fn everything_once(
    clients: &Clients,
    workers: &[Worker],
    course: &Course,
) -> Result<(usize, usize, usize)> {
    let chains = audit_chains(clients).await?;
    ensure!(chains > 1, "each start begins a chain");
    let (made, rotated) = (recorded(clients, "key.create").await?, recorded(clients, "key.rotate").await?);
    let settled = course.shared.lock().expect("nobody panics with it").settled;
    let own = workers.iter().flat_map(|worker| &worker.keys).map(|key| (key.name.as_str(), key.latest));
    for (name, latest) in own.chain([(SHARED, settled)]) {
        let (made, rotated) = (made.get(name), rotated.get(name).copied().unwrap_or_default());
        ensure!(made == Some(&1), "{name} was made {made:?} times");
        ensure!(rotated + 1 == latest, "{name} has {latest} versions and {rotated} records of a rotation");
    }
    let keys = workers.iter().map(|worker| worker.keys.len()).sum::<usize>() + 1;
    let ciphertexts = workers.iter().flat_map(|worker| &worker.keys).map(|key| key.sealed.len()).sum();
    let accounts = workers.iter().map(|worker| worker.accounts.len()).sum();
    Ok((keys, ciphertexts, accounts))
}

/// How often an operation was done on each target.
async fn recorded(clients: &Clients, operation: &str) -> Result<HashMap<String, u32>> {
    let (mut counts, mut page_token) = (HashMap::new(), String::new());
    loop {
        let request = ListAuditRequest {
            page_size: 1000,
            page_token,
            operation_prefix: operation.into(),
            ..Default::default()
        };
        let page = clients.admin.clone().list_audit(request).await?.into_inner();
        for record in page.records.into_iter().filter(|record| record.outcome == "ok") {
            *counts.entry(record.target).or_default() += 1;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(counts);
        }
    }
}
