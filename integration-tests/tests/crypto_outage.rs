//! A Redis that stands still: what is in memory goes on, what needs the store is refused, and all heals by itself.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use integration_tests::{
    admin::reason,
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
    report::{measured, report},
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    self as pb, KeyType, accounts_client::AccountsClient, data_client::DataClient, keys_client::KeysClient,
    tokens_client::TokensClient,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::{wait_for, wait_until},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

const KEY: &str = "cached";

/// How long keys in memory are good while the store cannot be asked.
const STALE_AFTER: Duration = Duration::from_secs(8);

/// Goal for everything to work again.
const HEALED: Duration = Duration::from_secs(5);

/// Longest that anything may take in this test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A replica's clients, and what they were told that it had done.
struct World {
    crypto: Crypto,
    keys: KeysClient<Client>,
    data: DataClient<Client>,
    accounts: AccountsClient<Client>,
    tokens: TokensClient<Client>,
    acknowledged: BTreeSet<String>,
    ciphertexts: Vec<Bytes>,
    tried: u32,
}

impl World {
    async fn start(installation: &Installation) -> Result<Self> {
        let crypto = installation.start("crypto").await?;
        let client = crypto.client(&installation.admin()?)?;
        Ok(Self {
            crypto,
            keys: KeysClient::new(client.clone()),
            data: DataClient::new(client.clone()),
            accounts: AccountsClient::new(client.clone()),
            tokens: TokensClient::new(client),
            acknowledged: BTreeSet::new(),
            ciphertexts: Vec::new(),
            tried: 0,
        })
    }

    /// Makes a key of a new name.
    async fn create_key(&mut self) -> Result<(), Status> {
        self.tried += 1;
        let name = format!("key-{}", self.tried);
        let request = pb::CreateKeyRequest { name: name.clone(), ..Default::default() };
        self.keys.create_key(request).await?;
        self.acknowledged.insert(name);
        Ok(())
    }

    async fn create_account(&mut self) -> Result<(), Status> {
        self.tried += 1;
        let request =
            pb::CreateAccountRequest { name: format!("account-{}", self.tried), ..Default::default() };
        self.accounts.create_account(request).await.map(drop)
    }

    async fn encrypt(&mut self) -> Result<(), Status> {
        let request =
            pb::EncryptRequest { key: KEY.into(), plaintext: "the same".into(), ..Default::default() };
        let ciphertext = self.data.encrypt(request).await?.into_inner().ciphertext;
        self.ciphertexts.push(ciphertext);
        Ok(())
    }

    async fn decrypt(&self, ciphertext: &Bytes) -> Result<Bytes, Status> {
        let request =
            pb::DecryptRequest { key: KEY.into(), ciphertext: ciphertext.clone(), ..Default::default() };
        Ok(self.data.clone().decrypt(request).await?.into_inner().plaintext)
    }

    async fn verify(&self, token: &str) -> Result<bool, Status> {
        let request = pb::VerifyTokenRequest { token: token.into() };
        Ok(self.tokens.clone().verify_token(request).await?.into_inner().is_valid)
    }

    /// Everything that was acknowledged is there.
    async fn check_nothing_is_lost(&self) -> Result<()> {
        for name in &self.acknowledged {
            let request = pb::GetKeyRequest { name: name.clone() };
            self.keys.clone().get_key(request).await.with_context(|| format!("{name} is lost"))?;
        }
        for ciphertext in &self.ciphertexts {
            ensure!(self.decrypt(ciphertext).await? == "the same");
        }
        Ok(())
    }
}

fn is_unavailable(answer: &Result<(), Status>) -> bool {
    answer.as_ref().is_err_and(|status| {
        status.code() == Code::Unavailable && reason(status) == "UNAVAILABLE" && !status.message().is_empty()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_stops_no_use_of_cached_keys_until_they_are_stale() -> TestResult {
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let settings = Settings::default()
        .set("backplane.url", &redis.url())
        .set("keys.poll", "500ms")
        .set("keys.stale_after", &format!("{}s", STALE_AFTER.as_secs()));
    let installation = Installation::create(folder.path(), settings)?;
    let mut world = World::start(&installation).await?;
    let request =
        pb::CreateKeyRequest { name: KEY.into(), r#type: KeyType::Xaes256Gcm.into(), ..Default::default() };
    world.keys.create_key(request).await?;
    world.create_key().await?;
    world.encrypt().await?;
    let mint = pb::MintTokenRequest {
        subject: "device".into(),
        scopes: vec!["chat:publish:room/lobby".into()],
        ..Default::default()
    };
    let token = world.tokens.mint_token(mint).await?.into_inner().token;

    redis.pause()?;
    let paused = Instant::now();
    while_cached(&mut world, &token, paused).await?;
    until_stale(&mut world, &token, paused).await?;
    redis.resume()?;
    heal(&mut world, "Redis resumed").await?;
    world.check_nothing_is_lost().await?;

    // What was acknowledged is in the store, not only in memory.
    world.crypto.process.kill()?;
    world.crypto.restart().await?;
    wait_until("the service answers", PATIENCE, async || world.verify(&token).await.is_ok()).await?;
    world.check_nothing_is_lost().await?;
    Ok(())
}

/// The store does not answer, and keys are in memory.
async fn while_cached(world: &mut World, token: &str, paused: Instant) -> Result<()> {
    let mut refusing = JoinSet::new();
    refusing.spawn(refused(world.keys.clone(), world.accounts.clone()));
    let (mut used, mut are_refused) = (0, None);
    while are_refused.is_none() || paused.elapsed() < STALE_AFTER / 2 {
        world.encrypt().await.context("a cached key is used")?;
        let ciphertext = world.ciphertexts.last().context("none")?;
        ensure!(world.decrypt(ciphertext).await? == "the same");
        ensure!(world.verify(token).await?, "tokens are verified");
        used += 1;
        are_refused = are_refused.or_else(|| refusing.try_join_next());
    }
    report(&format!("{used} encryptions, decryptions and verifications while Redis stood still"));
    are_refused.context("they have ended")??
}

/// Changes are refused, at the same time.
async fn refused(mut keys: KeysClient<Client>, mut accounts: AccountsClient<Client>) -> Result<()> {
    let began = Instant::now();
    let key = pb::CreateKeyRequest { name: "refused".into(), ..Default::default() };
    let account = pb::CreateAccountRequest { name: "refused".into(), ..Default::default() };
    let (key, account) = tokio::join!(keys.create_key(key), accounts.create_account(account));
    let (key, account) = (key.map(drop), account.map(drop));
    ensure!(is_unavailable(&key), "management is refused: {key:?}");
    ensure!(is_unavailable(&account), "accounts are not made: {account:?}");
    report(&format!("changes were refused after {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Keys in memory may have been changed elsewhere for too long.
async fn until_stale(world: &mut World, token: &str, paused: Instant) -> Result<()> {
    let mut began = paused.elapsed();
    let (refused, _) = wait_for("uses are refused", PATIENCE, async || {
        began = paused.elapsed();
        let answer = world.encrypt().await;
        answer.is_err().then_some(answer)
    })
    .await?;
    ensure!(is_unavailable(&refused), "{refused:?}");
    // Counted from when the store last answered, which was some time before.
    ensure!(began + Duration::from_secs(2) >= STALE_AFTER, "uses were refused after {began:?} already");
    ensure!(began <= STALE_AFTER + Duration::from_secs(2), "uses were refused after {began:?} only");
    measured("keys in memory", "stale", began, STALE_AFTER);
    report(&format!(
        "the first such use was refused after {:.1} s",
        paused.elapsed().saturating_sub(began).as_secs_f64()
    ));
    let ciphertext = world.ciphertexts.first().context("none")?;
    let refused = world.decrypt(ciphertext).await.map(drop);
    ensure!(is_unavailable(&refused), "{refused:?}");
    ensure!(world.verify(token).await?, "tokens are verified all the same");
    Ok(())
}

/// Everything works again.
async fn heal(world: &mut World, what: &str) -> Result<()> {
    let began = Instant::now();
    let deadline = Duration::from_secs(20);
    wait_until("keys are used", deadline, async || world.encrypt().await.is_ok()).await?;
    measured(what, "keys are used", began.elapsed(), HEALED);
    wait_until("keys are made", deadline, async || world.create_key().await.is_ok()).await?;
    wait_until("accounts are made", deadline, async || world.create_account().await.is_ok()).await?;
    measured(what, "everything works", began.elapsed(), HEALED);
    Ok(())
}
