//! Following over a Redis that goes away: what is known stays, and what was missed is learnt when it is back.

use anyhow::Result;
use patchbay_auth::{
    AuthConfig, Authenticator, Claims, Identity, KeyOwner, Revocation, Signer, announce_key_set,
    announce_revocation, follow,
};
use patchbay_backplane::{BackplaneConfig, SharedBackplane};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the backplane needs to find Redis again, and some.
const PATIENCE: Duration = Duration::from_secs(20);

/// Far in the future.
const END: u64 = 4_000_000_000;

async fn connect(url: String, stop: &CancellationToken) -> Result<SharedBackplane> {
    let config = BackplaneConfig {
        url: Some(url),
        call_timeout: Duration::from_millis(500),
        ..BackplaneConfig::default()
    };
    Ok(patchbay_backplane::connect(config, TaskTracker::new(), stop.clone()).await?)
}

fn authenticator(anchor: &Signer, folder: &std::path::Path) -> Result<Arc<Authenticator>> {
    let path = folder.join("jwks.json");
    anchor.jwks().write(&path)?;
    let config = AuthConfig { jwks_file: Some(path), ..AuthConfig::default() };
    Ok(Arc::new(Authenticator::new(&config)?))
}

fn token(signer: &Signer) -> Result<String> {
    Ok(signer.mint(Claims::new("ada", Vec::new()))?)
}

fn with_token_id(id: &str) -> Identity {
    Identity { token_id: Some(id.into()), ..Identity::guest(&[]) }
}

#[tokio::test]
async fn a_process_learns_what_it_missed_while_redis_was_away() -> Result<()> {
    let (folder, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    let mut redis = RedisServer::start(Persistence::Always).await?;
    let (here, there) = (connect(redis.url(), &stop).await?, connect(redis.url(), &stop).await?);
    let (anchor, key, next) = (
        Signer::generate(KeyOwner::Issuer)?,
        Signer::generate(KeyOwner::Issuer)?,
        Signer::generate(KeyOwner::Issuer)?,
    );
    let authenticator = authenticator(&anchor, folder.path())?;
    announce_key_set(&there, &anchor.sign_key_set(&key.jwks(), 1)?).await?;
    let tasks = TaskTracker::new();
    tasks.spawn(follow(authenticator.clone(), here.clone()).await);
    let (old_token, new_token) = (token(&key)?, token(&next)?);
    assert!(authenticator.verify(&old_token).is_ok(), "known before the first call");
    announce_revocation(&there, &Revocation::token("t1", END)).await?;
    wait_until("told of the first", PATIENCE, async || authenticator.is_revoked(&with_token_id("t1")))
        .await?;

    redis.kill()?;
    assert!(authenticator.verify(&old_token).is_ok() && authenticator.is_revoked(&with_token_id("t1")));
    redis.restart().await?;
    // A process that is quicker to find Redis again announces; the one that follows was not there to hear it.
    wait_until("announced", PATIENCE, async || {
        announce_revocation(&there, &Revocation::token("t2", END)).await.is_ok()
    })
    .await?;
    let token = anchor.sign_key_set(&next.jwks(), 2)?;
    wait_until("published", PATIENCE, async || announce_key_set(&there, &token).await.is_ok()).await?;
    wait_until("told of the second", PATIENCE, async || authenticator.is_revoked(&with_token_id("t2")))
        .await?;
    wait_until("believes the next key", PATIENCE, async || authenticator.verify(&new_token).is_ok()).await?;
    assert!(authenticator.verify(&old_token).is_err());
    Ok(())
}

#[tokio::test]
async fn a_backplane_that_is_away_keeps_nobody_from_starting() -> Result<()> {
    let (folder, stop) = (tempfile::tempdir()?, CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    let mut redis = RedisServer::start(Persistence::Always).await?;
    redis.kill()?;
    let here = connect(redis.url(), &stop).await?;
    let (anchor, key) = (Signer::generate(KeyOwner::Issuer)?, Signer::generate(KeyOwner::Issuer)?);
    let authenticator = authenticator(&anchor, folder.path())?;
    let begun = Instant::now();
    let following = follow(authenticator.clone(), here).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "waited {:?}", begun.elapsed());
    assert!(authenticator.verify(&token(&anchor)?).is_ok());
    let tasks = TaskTracker::new();
    tasks.spawn(following);

    redis.restart().await?;
    let there = connect(redis.url(), &stop).await?;
    let set = anchor.sign_key_set(&key.jwks(), 1)?;
    wait_until("published", PATIENCE, async || announce_key_set(&there, &set).await.is_ok()).await?;
    let token = token(&key)?;
    wait_until("told when Redis came", PATIENCE, async || authenticator.verify(&token).is_ok()).await?;
    Ok(())
}
