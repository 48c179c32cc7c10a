//! How soon a change on one replica holds on the other.

use crate::{ONE_AT_A_TIME, settings, worker::Clients};
use anyhow::{Context, Result};
use integration_tests::{
    admin::reason,
    crypto::{Crypto, Installation},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    CreateAccountRequest, CreateKeyRequest, DecryptRequest, DeleteKeyRequest, EncryptRequest,
    GetAccountRequest, KeyType, RotateKeyRequest, SignInRequest, SoftDeleteKeyRequest, UndeleteKeyRequest,
    UpdateAccountRequest, UpdateKeyConfigRequest, accounts_client::AccountsClient,
    tokens_client::TokensClient,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Code, Status, codegen::Bytes};

/// With events, and while pub/sub is cut off again and again.
const GOAL: Duration = Duration::from_secs(1);
const GOAL_WITHOUT_EVENTS: Duration = Duration::from_secs(5);

const PASSWORD: &str = "a password that nobody guesses";

/// Two replicas, of which one makes the changes and the other has cached what stood there before.
struct Pair {
    name: &'static str,
    goal: Duration,
    first: Clients,
    second: Clients,
    replicas: [Crypto; 2],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_hold_on_the_other_replica_within_a_second() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let pair = pair(folder.path(), &redis, "with events", GOAL).await?;
    changes_hold(&pair).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_hold_within_five_seconds_while_pubsub_is_cut() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = Arc::new(RedisServer::start(Persistence::Always).await?);
    let pair = pair(folder.path(), &redis, "pub/sub cut", GOAL_WITHOUT_EVENTS).await?;
    let cut = redis.clone();
    let mut cutting = JoinSet::new();
    cutting.spawn(async move {
        // As often as it comes back, nearly.
        while cut.kill_pubsub_connections().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let held = changes_hold(&pair).await;
    cutting.shutdown().await;
    held?;
    Ok(())
}

async fn pair(
    folder: &std::path::Path,
    redis: &RedisServer,
    name: &'static str,
    goal: Duration,
) -> Result<Pair> {
    let installation = Installation::create(folder, settings().set("backplane.url", &redis.url()))?;
    let replicas = [installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    let token = installation.admin()?;
    let [first, second] = [Clients::connect(&replicas[0], &token)?, Clients::connect(&replicas[1], &token)?];
    Ok(Pair { name, goal, first, second, replicas })
}

impl Pair {
    /// Waits until the second replica answers as it should, three times the goal at most, and prints when that was.
    async fn holds(&self, what: &str, condition: impl AsyncFnMut() -> bool) -> Result<()> {
        let changed = Instant::now();
        wait_until(what, self.goal * 3, condition).await?;
        let (took, goal) = (changed.elapsed(), self.goal);
        report(&format!(
            "{}: {what} {} ms after the answer (goal {} s)",
            self.name,
            took.as_millis(),
            goal.as_secs()
        ));
        Ok(())
    }

    async fn decrypt(&self, key: &str, ciphertext: &Bytes) -> Result<(), Status> {
        let request =
            DecryptRequest { key: key.into(), ciphertext: ciphertext.clone(), ..Default::default() };
        self.second.data.clone().decrypt(request).await.map(drop)
    }

    async fn encrypt(&self, key: &str) -> Result<u32, Status> {
        let request = EncryptRequest { key: key.into(), plaintext: "x".into(), ..Default::default() };
        Ok(self.second.data.clone().encrypt(request).await?.into_inner().key_version)
    }
}

fn is(answer: &Result<impl Sized, Status>, wanted: &str) -> bool {
    answer.as_ref().is_err_and(|status| reason(status) == wanted)
}

async fn changes_hold(pair: &Pair) -> Result<()> {
    key_changes_hold(pair).await?;
    account_changes_hold(pair).await
}

async fn key_changes_hold(pair: &Pair) -> Result<()> {
    let name = || "watched".to_owned();
    let mut keys = pair.first.keys.clone();
    let r#type = KeyType::Xaes256Gcm.into();
    keys.create_key(CreateKeyRequest { name: name(), r#type, ..Default::default() }).await?;
    let request = EncryptRequest { key: name(), plaintext: "old".into(), ..Default::default() };
    let old = pair.second.data.clone().encrypt(request).await?.into_inner().ciphertext;

    keys.rotate_key(RotateKeyRequest { name: name() }).await?;
    pair.holds("a rotated key encrypts with its new version", async || {
        pair.encrypt("watched").await.is_ok_and(|version| version == 2)
    })
    .await?;
    pair.decrypt("watched", &old).await?;

    let min_decryption_version = Some(2);
    keys.update_key_config(UpdateKeyConfigRequest {
        name: name(),
        min_decryption_version,
        ..Default::default()
    })
    .await?;
    pair.holds("an old version decrypts nothing", async || pair.decrypt("watched", &old).await.is_err())
        .await?;

    keys.soft_delete_key(SoftDeleteKeyRequest { name: name() }).await?;
    let disabled = async || is(&pair.encrypt("watched").await, "KEY_DISABLED");
    pair.holds("a soft-deleted key does nothing", disabled).await?;

    keys.undelete_key(UndeleteKeyRequest { name: name() }).await?;
    pair.holds("a key that is back works", async || pair.encrypt("watched").await.is_ok()).await?;

    let deletion_allowed = Some(true);
    keys.update_key_config(UpdateKeyConfigRequest { name: name(), deletion_allowed, ..Default::default() })
        .await?;
    pair.encrypt("watched").await?;
    keys.delete_key(DeleteKeyRequest { name: name() }).await?;
    pair.holds("a deleted key is gone", async || is(&pair.encrypt("watched").await, "NOT_FOUND")).await
}

async fn account_changes_hold(pair: &Pair) -> Result<()> {
    let mut accounts = pair.first.accounts.clone();
    let request =
        CreateAccountRequest { name: "ann".into(), password: PASSWORD.into(), ..Default::default() };
    accounts.create_account(request).await?;
    let mut tokens = TokensClient::new(pair.replicas[1].stranger()?);
    let sign_in = || SignInRequest { name: "ann".into(), password: PASSWORD.into(), device: String::new() };
    let session = tokens.sign_in(sign_in()).await?.into_inner().session.context("a session is given")?;
    let client = AccountsClient::new(pair.replicas[1].client(&session.token)?);
    let asks = async || client.clone().get_account(GetAccountRequest::default()).await;
    asks().await.context("one's own account needs no scope")?;

    let request = UpdateAccountRequest { name: "ann".into(), disabled: Some(true), ..Default::default() };
    accounts.update_account(request).await?;
    let ended = async || asks().await.is_err_and(|status| status.code() == Code::Unauthenticated);
    pair.holds("a disabled account's token is refused", ended).await?;
    let refused = tokens.sign_in(sign_in()).await;
    anyhow::ensure!(is(&refused, "SIGN_IN_FAILED"), "a disabled account does not sign in");
    Ok(())
}
