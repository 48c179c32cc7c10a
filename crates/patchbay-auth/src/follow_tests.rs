//! Following over the backplane of one process; `tests/follow_redis.rs` does so over one that goes away.

use super::{announce_key_set, announce_revocation, follow, key_set_name, revocations_name};
use crate::{
    AuthConfig, Authenticator, Claims, Identity, Jwks, KeyOwner, Revocation, Signer,
    authenticator::system_seconds,
};
use bytes::Bytes;
use patchbay_backplane::{Append, MemoryBackplane, SharedBackplane};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Bench {
    anchor: Signer,
    backplane: SharedBackplane,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let backplane: SharedBackplane = Arc::new(MemoryBackplane::volatile(&tasks, &stop));
        Self { anchor: Signer::generate(KeyOwner::Issuer).unwrap(), backplane, tasks, stop }
    }

    /// An authenticator that follows.
    async fn follower(&self) -> Arc<Authenticator> {
        let now = Arc::new(system_seconds);
        let made = Authenticator::with_keys(&AuthConfig::default(), self.anchor.jwks(), now);
        let authenticator = Arc::new(made.unwrap());
        self.tasks.spawn(follow(authenticator.clone(), self.backplane.clone()).await);
        authenticator
    }

    async fn publish(&self, keys: &Jwks, sequence: u64) {
        let token = self.anchor.sign_key_set(keys, sequence).unwrap();
        announce_key_set(&self.backplane, &token).await.unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn signer() -> Signer {
    Signer::generate(KeyOwner::Issuer).unwrap()
}

fn token(signer: &Signer) -> String {
    signer.mint(Claims::new("ada", Vec::new())).unwrap()
}

fn with_token_id(id: &str) -> Identity {
    Identity { token_id: Some(id.into()), ..Identity::guest(&[]) }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(10), async {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

fn end() -> u64 {
    system_seconds() + 900
}

#[tokio::test]
async fn a_process_that_starts_knows_what_was_announced_before() {
    let (bench, key) = (Bench::new(), signer());
    bench.publish(&key.jwks(), 1).await;
    for n in 0..2_500 {
        announce_revocation(&bench.backplane, &Revocation::token(format!("t{n}"), end())).await.unwrap();
    }
    let authenticator = bench.follower().await;
    assert!(authenticator.verify(&token(&key)).is_ok());
    for id in ["t0", "t1000", "t2499"] {
        assert!(authenticator.is_revoked(&with_token_id(id)), "{id}");
    }
    assert!(!authenticator.is_revoked(&with_token_id("t2500")));
}

#[tokio::test]
async fn a_process_that_runs_is_told() {
    let (bench, first, second) = (Bench::new(), signer(), signer());
    let authenticator = bench.follower().await;
    let (first_token, second_token) = (token(&first), token(&second));
    bench.publish(&first.jwks(), 1).await;
    until("the first key is believed", || authenticator.verify(&first_token).is_ok()).await;
    bench.publish(&second.jwks(), 2).await;
    until("the second key is believed", || authenticator.verify(&second_token).is_ok()).await;
    assert!(authenticator.verify(&first_token).is_err());
    for n in 0..10 {
        announce_revocation(&bench.backplane, &Revocation::token(format!("t{n}"), end())).await.unwrap();
    }
    until("all are revoked", || (0..10).all(|n| authenticator.is_revoked(&with_token_id(&format!("t{n}")))))
        .await;
}

#[tokio::test]
async fn what_cannot_be_used_does_not_stop_the_rest() {
    let (bench, key) = (Bench::new(), signer());
    let before = bench.follower().await;
    let garbage = Bytes::from_static(b"\xff{}");
    bench.backplane.set(&key_set_name(), garbage.clone(), None).await.unwrap();
    bench.backplane.publish(&key_set_name(), garbage.clone()).await.unwrap();
    let stranger = signer().sign_key_set(&signer().jwks(), u64::MAX).unwrap();
    bench.backplane.publish(&key_set_name(), stranger.into_bytes().into()).await.unwrap();
    let append =
        Append { stream: revocations_name(), payload: garbage, key: None, retention: super::RETENTION };
    bench.backplane.append(append).await.unwrap();
    announce_revocation(&bench.backplane, &Revocation::token("t", end())).await.unwrap();
    bench.publish(&key.jwks(), 1).await;
    let (after, token) = (bench.follower().await, token(&key));
    for authenticator in [before, after] {
        until("the key is believed", || authenticator.verify(&token).is_ok()).await;
        until("the token is revoked", || authenticator.is_revoked(&with_token_id("t"))).await;
    }
}

#[tokio::test]
async fn revocations_are_read_again_when_their_stream_begins_anew() {
    let bench = Bench::new();
    let authenticator = bench.follower().await;
    announce_revocation(&bench.backplane, &Revocation::token("t1", end())).await.unwrap();
    bench.backplane.remove(&revocations_name()).await.unwrap();
    announce_revocation(&bench.backplane, &Revocation::token("t2", end())).await.unwrap();
    announce_revocation(&bench.backplane, &Revocation::token("t3", end())).await.unwrap();
    until("all are revoked", || {
        ["t1", "t2", "t3"].iter().all(|id| authenticator.is_revoked(&with_token_id(id)))
    })
    .await;
}

#[tokio::test]
async fn an_older_key_set_does_not_replace_a_newer_one() {
    let (bench, old, new) = (Bench::new(), signer(), signer());
    bench.publish(&new.jwks(), 2).await;
    bench.publish(&old.jwks(), 1).await;
    let authenticator = bench.follower().await;
    assert!(authenticator.verify(&token(&new)).is_ok() && authenticator.verify(&token(&old)).is_err());
}
