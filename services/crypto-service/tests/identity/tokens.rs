//! Keys that sign, tokens for others, and tokens that nobody should believe.

use crate::world::{PASSWORD, World, reason, texts, with};
use anyhow::{Context as _, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use patchbay_auth::{Claims, KeyOwner, Signer};
use patchbay_proto::crypto::v1 as pb;
use patchbay_testkit::wait::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

fn kid(token: &str) -> Result<String> {
    let header = token.split('.').next().context("a header")?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    Ok(header["kid"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_new_key_signs_soon_and_tokens_of_the_old_one_stay_good() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let another = world.another_process().await?;
    let before = world.sign_in("root", PASSWORD).await?.token;
    let request = with(&admin, pb::RotateSigningKeyRequest {});
    let new = world.one.tokens.rotate_signing_key(request).await?.into_inner().key_id;
    assert_ne!(kid(&world.sign_in("root", PASSWORD).await?.token)?, new, "it is told before it signs");
    let mint = |world: &World| {
        let mint = pb::MintTokenRequest { subject: "x".into(), ..Default::default() };
        (world.other.tokens.clone(), with(&admin, mint))
    };
    // The other replica signs with it too.
    let signed_by_new = async || {
        let (mut tokens, request) = mint(&world);
        let token = tokens.mint_token(request).await.ok()?.into_inner().token;
        (kid(&token).ok()? == new).then_some(token)
    };
    let (after, took) = wait_for("the new key to sign", Duration::from_secs(15), signed_by_new).await?;
    println!("the new key signed after {took:?}");
    assert!(took > Duration::from_secs(3), "it was told {took:?} before it signed");
    for token in [&before, &after] {
        assert!(another.verify(token).is_ok());
    }
    let keys = world.one.tokens.get_key_set(pb::GetKeySetRequest {}).await?.into_inner().jwks_json;
    let keys: Value = serde_json::from_str(&keys)?;
    let keys = keys["keys"].as_array().context("a key set")?;
    assert_eq!(keys.len(), 3, "the issuer's, the first and the new one");
    for key in keys {
        let mut members: Vec<&str> = key.as_object().context("a key")?.keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"], "nothing private");
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn rotating_too_often_and_without_the_scope_is_refused() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let rotate = |token: &str| with(token, pb::RotateSigningKeyRequest {});
    let weak = world.keys.token("weak", &["tokens:mint:*"])?;
    assert_eq!(reason(world.one.tokens.rotate_signing_key(rotate(&weak)).await), "PERMISSION_DENIED");
    for _ in 1..16 {
        world.one.tokens.rotate_signing_key(rotate(&admin)).await?;
    }
    assert_eq!(reason(world.other.tokens.rotate_signing_key(rotate(&admin)).await), "TOO_MANY_ATTEMPTS");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn tokens_are_minted_verified_and_revoked() -> Result<()> {
    let mut world = World::start().await?;
    world.set_up().await?;
    let minter =
        world.keys.token("minter", &["tokens:mint:cam-*", "tokens:revoke:cam-*", "media:publish:cam-*"])?;
    let mint = |subject: &str, scopes: &[&str]| pb::MintTokenRequest {
        subject: subject.into(),
        scopes: texts(scopes),
        ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    };
    let tokens = &mut world.one.tokens;
    for (subject, wanted) in [("dog", "PERMISSION_DENIED"), ("svc:chat-gateway", "PERMISSION_DENIED")] {
        assert_eq!(reason(tokens.mint_token(with(&minter, mint(subject, &[]))).await), wanted);
    }
    let admin = world.keys.token("operator", &["admin"])?;
    for subject in ["svc:chat-gateway", "", "a b"] {
        assert_eq!(
            reason(tokens.mint_token(with(&admin, mint(subject, &[]))).await),
            "BAD_REQUEST",
            "{subject}"
        );
    }
    let long = pb::MintTokenRequest {
        ttl: Some(prost_types::Duration { seconds: 901, nanos: 0 }),
        ..mint("cam-1", &[])
    };
    assert_eq!(reason(tokens.mint_token(with(&admin, long)).await), "BAD_REQUEST");
    let one =
        tokens.mint_token(with(&minter, mint("cam-1", &["media:publish:cam-1"]))).await?.into_inner().token;
    let two = tokens.mint_token(with(&minter, mint("cam-1", &[]))).await?.into_inner().token;
    let verify = |token: &str| with(&minter, pb::VerifyTokenRequest { token: token.into() });
    let seen = tokens.verify_token(verify(&one)).await?.into_inner();
    assert!(seen.is_valid && seen.subject == "cam-1" && seen.scopes == ["media:publish:cam-1"]);
    assert!(seen.expires.is_some() && seen.session_id.is_empty());

    let revoke = |target| pb::RevokeTokensRequest { target: Some(target) };
    let token = pb::revoke_tokens_request::Target::Token(one.clone());
    tokens.revoke_tokens(with(&minter, revoke(token))).await?;
    let seen = tokens.verify_token(verify(&one)).await?.into_inner();
    assert!(!seen.is_valid && seen.reason == "TOKEN_REVOKED" && seen.subject.is_empty());
    assert!(tokens.verify_token(verify(&two)).await?.into_inner().is_valid);
    let subject = pb::revoke_tokens_request::Target::Subject("cam-1".into());
    tokens.revoke_tokens(with(&minter, revoke(subject))).await?;
    assert!(!tokens.verify_token(verify(&two)).await?.into_inner().is_valid);
    let foreign = pb::revoke_tokens_request::Target::Subject("root".into());
    assert_eq!(reason(tokens.revoke_tokens(with(&minter, revoke(foreign))).await), "PERMISSION_DENIED");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_minted_token_ends_with_that_of_who_minted_it() -> Result<()> {
    let mut world = World::start().await?;
    let ttl = Duration::from_secs(100);
    let claims = Claims { ttl, ..Claims::new("minter", vec!["tokens:mint:*".parse()?]) };
    let minter = world.keys.signer().mint(claims)?;
    let end = world.context.auth.verify(&minter)?.expires_at;
    let mint = pb::MintTokenRequest {
        subject: "next".into(),
        scopes: texts(&["tokens:mint:*"]),
        ..Default::default()
    };
    let next = world.one.tokens.mint_token(with(&minter, mint.clone())).await?.into_inner();
    assert!(world.context.auth.verify(&next.token)?.expires_at <= end);
    let after = world.other.tokens.mint_token(with(&next.token, mint)).await?.into_inner();
    assert!(world.context.auth.verify(&after.token)?.expires_at <= end, "nor does its own");
    assert_eq!(after.expires.map(|end| end.seconds), next.expires.map(|end| end.seconds));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_token_minted_under_somebodys_name_is_not_his() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let key = world.one.accounts.create_api_key(with(&admin, pb::CreateApiKeyRequest::default())).await?;
    let id = key.into_inner().api_key.context("a key")?.id;
    let minter = world.keys.token("minter", &["tokens:mint:*"])?;
    let mint = pb::MintTokenRequest { subject: "root".into(), ..Default::default() };
    let token = world.one.tokens.mint_token(with(&minter, mint)).await?.into_inner().token;
    let subject = pb::revoke_tokens_request::Target::Subject("root".into());
    let revoke = pb::RevokeTokensRequest { target: Some(subject) };
    let accounts = &mut world.one.accounts;
    let refused = [
        reason(accounts.get_account(with(&token, pb::GetAccountRequest::default())).await),
        reason(accounts.list_api_keys(with(&token, pb::ListApiKeysRequest::default())).await),
        reason(accounts.create_api_key(with(&token, pb::CreateApiKeyRequest::default())).await),
        reason(accounts.revoke_api_key(with(&token, pb::RevokeApiKeyRequest { id })).await),
        reason(world.one.tokens.list_sessions(with(&token, pb::ListSessionsRequest::default())).await),
        reason(world.one.tokens.revoke_tokens(with(&token, revoke)).await),
    ];
    assert!(refused.iter().all(|reason| reason == "PERMISSION_DENIED"), "{refused:?}");
    assert!(world.context.auth.verify(&admin).is_ok());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn bad_tokens_are_refused_by_the_service() -> Result<()> {
    let mut world = World::start().await?;
    let now = world.context.clock.now_millis() / 1000;
    let claims = json!({"iss": "patchbay", "aud": "patchbay", "sub": "eve", "iat": now, "exp": now + 600, "scope": "admin"});
    let altered = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let good = world.keys.sign(&claims)?;
    let (_, payload_and_signature) = good.split_once('.').context("a token")?;
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": kid(&good)?}).to_string());
    let service = Signer::generate(KeyOwner::Service("chat-gateway".into()))?;
    let payload = URL_SAFE_NO_PAD.encode(altered("sub", json!("root")).to_string());
    let mut parts: Vec<&str> = good.split('.').collect();
    parts[1] = &payload;
    let expired = json!({"iss": "patchbay", "aud": "patchbay", "sub": "eve", "iat": now - 900, "exp": now - 300, "scope": "admin"});
    let cases = [
        ("TOKEN_UNKNOWN_KEY", Signer::generate(KeyOwner::Issuer)?.sign(&claims)?),
        ("TOKEN_UNKNOWN_KEY", service.sign(&claims)?),
        ("TOKEN_BAD_SIGNATURE", parts.join(".")),
        ("TOKEN_EXPIRED", world.keys.sign(&expired)?),
        ("TOKEN_WRONG_AUDIENCE", world.keys.sign(&altered("aud", json!("elsewhere")))?),
        ("TOKEN_WRONG_ISSUER", world.keys.sign(&altered("iss", json!("elsewhere")))?),
        ("TOKEN_WRONG_ALGORITHM", format!("{none}.{payload_and_signature}")),
        ("TOKEN_MALFORMED", "nonsense".to_owned()),
    ];
    let list = pb::ListAccountsRequest::default;
    for (wanted, token) in cases {
        assert_eq!(reason(world.one.accounts.list_accounts(with(&token, list())).await), wanted);
    }
    assert_eq!(reason(world.one.accounts.list_accounts(list()).await), "TOKEN_MISSING");
    assert!(world.one.accounts.list_accounts(with(&good, list())).await.is_ok());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn keys_rotate_by_themselves() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.tokens.rotate_after"), "3s")).await?;
    let tokens = world.one.tokens.clone();
    let rotated = async || {
        let keys = tokens.clone().get_key_set(pb::GetKeySetRequest {}).await.ok()?.into_inner().jwks_json;
        let keys: Value = serde_json::from_str(&keys).ok()?;
        (keys["keys"].as_array()?.len() >= 4).then_some(())
    };
    wait_for("two new keys", Duration::from_secs(30), rotated).await?;
    let token = world.set_up().await?;
    assert!(world.another_process().await?.verify(&token).is_ok());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_start_without_the_issuers_own_key_says_what_to_set() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let foreign = folder.path().join("foreign.pem");
    Signer::generate(KeyOwner::Issuer)?.write(&foreign)?;
    for (file, wanted) in
        [("/nowhere/issuer.pem", "/nowhere/issuer.pem"), (foreign.to_str().unwrap(), "auth.jwks_file")]
    {
        let started =
            World::start_with(|name, flags| flags.set(&format!("{name}.tokens.issuer_key_file"), file)).await;
        let error = format!("{:#}", started.err().context("it must not start")?);
        assert!(error.contains("tokens.issuer_key_file") && error.contains(wanted), "{error}");
    }
    Ok(())
}
