//! Who gets in at the WebSocket door, and how those who do not are told.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use integration_tests::{
    gateway::{Gateway, Settings},
    report::measured,
    verdict::TestResult,
    world::World,
};
use patchbay_auth::{Claims, Revocation, Scope, announce_revocation};
use patchbay_backplane::{BackplaneConfig, SharedBackplane};
use patchbay_testkit::{
    chat::{ChatClient, Lines, PATIENCE},
    keys::Keys,
    redis::Persistence,
};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Codes of `docs/protocol/chat.md`.
const UNAUTHORIZED: u64 = 101;
const DENIED: u32 = 103;
const EXPIRED: u64 = 109;
const INVALID_TOKEN: u16 = 3500;
const TOKEN_EXPIRED: u16 = 3005;
const STALE: u16 = 3502;

struct Door {
    gateway: Gateway,
    keys: Keys,
    folder: TempDir,
}

async fn door(settings: Settings) -> Result<Door> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings).await?;
    Ok(Door { gateway, keys, folder })
}

/// Nobody without a token.
fn closed() -> Settings {
    Settings::open().set("auth.guest.enabled", "false")
}

#[expect(clippy::disallowed_methods, reason = "tokens are made in the real time, as the gateway's are")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn claims() -> Value {
    json!({"iss": "patchbay", "aud": "patchbay", "sub": "ada", "iat": now(), "exp": now() + 600, "scope": "admin"})
}

/// How a connection with these `connect` fields ends: the error's code, and the close code after it.
async fn refusal(door: &Door, connect: Value) -> Result<(u64, u16)> {
    let mut lines = Lines::open(&door.gateway.url(), None, None).await?;
    let command = json!({"id": 1, "connect": connect}).to_string();
    lines.send(command).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
    let mut code = 0;
    loop {
        match timeout(PATIENCE, lines.next()).await.context("neither an answer nor an end")? {
            Ok(line) => {
                let answer: Value = serde_json::from_str(&line)?;
                code = answer["error"]["code"].as_u64().with_context(|| format!("let in: {answer}"))?;
            }
            Err(closed) => return Ok((code, closed.code)),
        }
    }
}

#[tokio::test]
async fn a_good_token_lets_in_as_its_subject() -> TestResult {
    let door = door(closed()).await?;
    let token = door.keys.token("ada", &["chat:subscribe:room/den"])?;
    let mut client = ChatClient::with_token(&door.gateway.url(), &token).await?;
    assert_eq!(client.welcome["user"], "ada");
    assert!(client.welcome["expires_in"].as_u64().is_some_and(|seconds| (800..=900).contains(&seconds)));
    client.call("subscribe", json!({"channel": "den"})).await?;
    assert_eq!(client.refused("publish", json!({"channel": "den", "data": 1})).await?.code, DENIED);
    assert_eq!(client.refused("subscribe", json!({"channel": "attic"})).await?.code, DENIED);
    Ok(())
}

#[tokio::test]
async fn bad_tokens_are_refused_each_for_its_reason() -> TestResult {
    let door = door(closed()).await?;
    let changed = |change: fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        door.keys.sign(&claims)
    };
    let good = changed(|_| {})?;
    let expired = changed(|claims| claims["exp"] = json!(now() - 120))?;
    assert_eq!(refusal(&door, json!({"token": expired})).await?, (EXPIRED, TOKEN_EXPIRED), "expired");

    let stranger = Keys::create(tempfile::tempdir()?.path())?.sign(&claims())?;
    let forged = format!("{}.{}", good.split('.').next().context("no header")?, tail(&stranger)?);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(json!({"alg": "none"})), part(claims()));
    let mut altered = good.clone().into_bytes();
    altered[good.len() / 2] ^= 1;
    for (name, token) in [
        ("alg none", unsigned),
        ("unknown key", stranger.clone()),
        ("forged", forged),
        ("altered", String::from_utf8(altered)?),
        ("wrong audience", changed(|claims| claims["aud"] = json!("elsewhere"))?),
        ("wrong issuer", changed(|claims| claims["iss"] = json!("elsewhere"))?),
        ("too long", changed(|claims| claims["exp"] = json!(now() + 100 * 86_400))?),
        ("not a token", "hello".to_owned()),
        ("empty", String::new()),
    ] {
        assert_eq!(refusal(&door, json!({"token": token})).await?, (UNAUTHORIZED, INVALID_TOKEN), "{name}");
    }
    assert_eq!(refusal(&door, json!({})).await?, (UNAUTHORIZED, INVALID_TOKEN), "no token, no guests");
    ChatClient::with_token(&door.gateway.url(), &good).await?;
    Ok(())
}

fn tail(token: &str) -> Result<&str> {
    Ok(token.split_once('.').context("no token")?.1)
}

#[tokio::test]
async fn a_token_that_ends_must_be_refreshed() -> TestResult {
    let door = door(closed().set("log.level", "debug")).await?;
    let token = |subject: &str, exp: u64| {
        let mut claims = claims();
        claims["sub"] = json!(subject);
        claims["exp"] = json!(exp);
        door.keys.sign(&claims)
    };
    // Within the leeway of 60 s, so that it ends soon.
    let mut client = ChatClient::with_token(&door.gateway.url(), &token("ada", now() - 50)?).await?;
    let other = client.refused("refresh", json!({"token": token("bob", now() + 600)?})).await?;
    assert_eq!(u64::from(other.code), UNAUTHORIZED, "the subject must stay");
    client.call("refresh", json!({"token": token("ada", now() + 600)?})).await?;

    let mut expiring = ChatClient::with_token(&door.gateway.url(), &token("ada", now() - 50)?).await?;
    assert_eq!(expiring.closed(Duration::from_mins(1)).await?.code, TOKEN_EXPIRED);
    client.call("subscribe", json!({"channel": "den"})).await?;
    Ok(())
}

#[tokio::test]
async fn silence_before_connect_is_ended() -> TestResult {
    let door = door(Settings::open()).await?;
    let mut silent = Lines::open(&door.gateway.url(), None, None).await?;
    let opened = Instant::now();
    let closed = silent.closed(Duration::from_secs(30)).await?;
    let took = opened.elapsed();
    measured("silent connection", "closed", took, Duration::from_secs(10));
    assert_eq!(closed.code, STALE);
    assert!(took >= Duration::from_secs(8), "closed too early");
    Ok(())
}

#[tokio::test]
async fn guests_do_what_is_listed_and_nothing_else() -> TestResult {
    let scopes = r#"["chat:subscribe:room/lobby", "chat:publish:room/lobby", "chat:subscribe:room/news"]"#;
    let door = door(Settings::open().set("auth.guest.scopes", scopes)).await?;
    let mut guest = door.gateway.guest("Ada").await?;
    let user = guest.welcome["user"].as_str().context("no user")?.to_owned();
    assert!(user.starts_with("guest:"), "{user}");
    guest.call("subscribe", json!({"channel": "lobby"})).await?;
    guest.call("publish", json!({"channel": "lobby", "data": "hi"})).await?;
    guest.call("subscribe", json!({"channel": "news"})).await?;
    assert_eq!(guest.refused("publish", json!({"channel": "news", "data": "hi"})).await?.code, DENIED);
    assert_eq!(guest.refused("subscribe", json!({"channel": "attic"})).await?.code, DENIED);
    assert_eq!(guest.refused("subscribe", json!({"channel": "$sys"})).await.map(|r| r.code)?, 102);

    let mut other = door.gateway.guest("Bob").await?;
    other.call("subscribe", json!({"channel": "lobby"})).await?;
    assert_eq!(other.refused("edit", json!({"channel": "lobby", "ref": 1, "data": "x"})).await?.code, DENIED);
    assert_eq!(other.refused("delete", json!({"channel": "lobby", "ref": 1})).await?.code, DENIED);
    guest.call("edit", json!({"channel": "lobby", "ref": 1, "data": "hello"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_guest_who_comes_back_is_who_it_was() -> TestResult {
    let door = door(Settings::open()).await?;
    let publish = json!({"channel": "r", "data": "once", "key": "k"});
    let mut first = door.gateway.guest("Ada").await?;
    first.call("subscribe", json!({"channel": "r"})).await?;
    let answer = first.call("publish", publish.clone()).await?;
    let (user, session) = (first.welcome["user"].clone(), first.welcome["session"].clone());
    first.close().await;

    let mut again = ChatClient::connect(&door.gateway.url(), json!({"session": session})).await?;
    assert_eq!(again.welcome["user"], user);
    again.call("subscribe", json!({"channel": "r"})).await?;
    let repeated = again.call("publish", publish.clone()).await?;
    assert_eq!((&repeated["offset"], &repeated["duplicate"]), (&answer["offset"], &json!(true)));
    again.call("edit", json!({"channel": "r", "ref": 1, "data": "changed"})).await?;

    for forged in
        [json!("nonsense"), json!(user), json!(format!("{}x", session.as_str().unwrap_or_default()))]
    {
        let thief = Lines::open(&door.gateway.url(), None, None).await?;
        let welcome = let_in(thief, json!({"session": forged})).await?;
        assert_ne!(welcome["user"], user, "a session cannot be made up");
    }
    Ok(())
}

/// What `connect` answers; null where it is refused.
async fn let_in(mut lines: Lines, fields: Value) -> Result<Value> {
    let command = json!({"id": 1, "connect": fields}).to_string();
    lines.send(command).await.map_err(|closed| anyhow::anyhow!("{closed:?}"))?;
    let line = timeout(PATIENCE, lines.next()).await?.unwrap_or_default();
    let answer: Value = serde_json::from_str(&line).unwrap_or_default();
    Ok(answer["result"].clone())
}

#[tokio::test]
async fn without_guests_the_classic_door_is_shut() -> TestResult {
    let door = door(closed()).await?;
    assert!(Lines::open(&door.gateway.classic_url(), None, None).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_new_key_works_without_a_restart() -> TestResult {
    let door = door(closed()).await?;
    let elsewhere = tempfile::tempdir()?;
    let next = Keys::create(elsewhere.path())?;
    let token = next.token("ada", &["admin"])?;
    assert_eq!(refusal(&door, json!({"token": token})).await?.0, UNAUTHORIZED);
    fs::copy(next.jwks(), door.folder.path().join("jwks.json"))?;
    let url = door.gateway.url();
    let in_time = Duration::from_secs(15);
    patchbay_testkit::wait::wait_until("the new key is known", in_time, async || {
        ChatClient::with_token(&url, &token).await.is_ok()
    })
    .await?;
    Ok(())
}

/// The backplane as crypto-service has it.
async fn backplane(url: String) -> Result<SharedBackplane> {
    let config = BackplaneConfig { url: Some(url), ..BackplaneConfig::default() };
    Ok(patchbay_backplane::connect(config, TaskTracker::new(), CancellationToken::new()).await?)
}

#[tokio::test]
async fn whoever_is_revoked_is_out_within_a_second_on_every_replica() -> TestResult {
    let world = World::start(2, Persistence::None, closed()).await?;
    let backplane = backplane(world.redis.url()).await?;
    let scope: Scope = "chat:subscribe:room/den".parse()?;
    let mint = |subject: &str, session: &str| {
        let claims = Claims::new(subject, vec![Scope::clone(&scope)]);
        world.keys.signer().mint(Claims { session: Some(session.to_owned()), ..claims })
    };
    let (stolen, other, bobs) = (mint("ada", "s1")?, mint("ada", "s2")?, mint("bob", "s3")?);
    let [first, second] = [0, 1].map(|number| world.gateways[number].url());
    let mut victims =
        [ChatClient::with_token(&first, &stolen).await?, ChatClient::with_token(&second, &stolen).await?];
    let mut ada = ChatClient::with_token(&first, &other).await?;
    let mut bob = ChatClient::with_token(&second, &bobs).await?;

    let end = now() + 900;
    let begun = Instant::now();
    announce_revocation(&backplane, &Revocation::session("s1", end)).await?;
    for victim in &mut victims {
        assert_eq!(victim.closed(PATIENCE).await?.code, INVALID_TOKEN);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "after {:?}", begun.elapsed());
    assert!(ChatClient::with_token(&first, &stolen).await.is_err(), "nor does it let in again");
    ada.call("subscribe", json!({"channel": "den"})).await?;

    announce_revocation(&backplane, &Revocation::subject("ada", now() * 1000 + 999, end)).await?;
    assert_eq!(ada.closed(PATIENCE).await?.code, INVALID_TOKEN);
    bob.call("subscribe", json!({"channel": "den"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_revocation_is_known_to_a_gateway_that_starts_later() -> TestResult {
    let mut world = World::start(1, Persistence::Always, closed()).await?;
    let backplane = backplane(world.redis.url()).await?;
    let claims = Claims { session: Some("s1".to_owned()), ..Claims::new("ada", Vec::new()) };
    let token = world.keys.signer().mint(claims)?;
    announce_revocation(&backplane, &Revocation::session("s1", now() + 900)).await?;
    world.gateways[0].process.kill()?;
    world.gateways[0].restart().await?;
    let refused = ChatClient::with_token(&world.gateways[0].url(), &token).await;
    assert!(refused.is_err(), "let in with a token that was revoked before the gateway started");
    Ok(())
}
