//! Every reason for which a token is refused, the cache, and the key set that changes under it.

use super::{Authenticator, NowSeconds};
use crate::{AuthConfig, Claims, GuestConfig, IdentityKind, Jwks, KeyOwner, Signer, TokenError};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const NOW: u64 = 1_800_000_000;

struct Bench {
    signer: Signer,
    time: Arc<AtomicU64>,
    authenticator: Authenticator,
}

fn bench() -> Bench {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    let time = Arc::new(AtomicU64::new(NOW));
    let authenticator =
        Authenticator::with_keys(&AuthConfig::default(), signer.jwks(), clock(&time)).unwrap();
    Bench { signer, time, authenticator }
}

fn clock(time: &Arc<AtomicU64>) -> NowSeconds {
    let time = time.clone();
    Arc::new(move || time.load(Ordering::SeqCst))
}

fn good_claims() -> Value {
    json!({
        "iss": "patchbay", "aud": "patchbay", "sub": "ada", "iat": NOW, "exp": NOW + 900,
        "name": "Ada", "picture": "/a.png", "scope": "chat:publish:room/* chat:subscribe:room/lobby",
    })
}

impl Bench {
    fn verify_with(&self, change: impl FnOnce(&mut Value)) -> Result<(), TokenError> {
        let mut claims = good_claims();
        change(&mut claims);
        self.authenticator.verify(&self.signer.sign(&claims).unwrap()).map(drop)
    }

    /// A token with a header of its own over a good signature for that header.
    fn verify_header(&self, header: &Value) -> Result<(), TokenError> {
        let token = self.signer.sign(&good_claims()).unwrap();
        let rest = token.split_once('.').unwrap().1;
        let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        self.authenticator.verify(&token).map(drop)
    }
}

#[test]
fn a_good_token_tells_who_it_is() {
    let bench = bench();
    let identity = bench.authenticator.verify(&bench.signer.sign(&good_claims()).unwrap()).unwrap();
    assert_eq!(&*identity.subject, "ada");
    assert_eq!(identity.name.as_deref(), Some("Ada"));
    assert_eq!(identity.avatar.as_deref(), Some("/a.png"));
    assert_eq!(identity.kind, IdentityKind::User);
    assert_eq!(identity.expires_at, Some(NOW + 900));
    assert!(identity.allows("chat", "publish", "room/x"));
    assert!(!identity.allows("chat", "subscribe", "room/x"));
}

#[test]
fn each_refusal_has_its_reason() {
    let bench = bench();
    let set = |key: &'static str, value: Value| move |claims: &mut Value| claims[key] = value;
    assert_eq!(bench.verify_with(set("exp", json!(NOW - 61))), Err(TokenError::Expired));
    assert_eq!(bench.verify_with(set("nbf", json!(NOW + 61))), Err(TokenError::NotYetValid));
    assert_eq!(bench.verify_with(set("iat", json!(NOW + 61))), Err(TokenError::NotYetValid));
    assert_eq!(bench.verify_with(set("exp", json!(NOW + 86_401))), Err(TokenError::TooLongLived));
    assert_eq!(bench.verify_with(set("iss", json!("other"))), Err(TokenError::WrongIssuer));
    assert_eq!(bench.verify_with(set("aud", json!("other"))), Err(TokenError::WrongAudience));
    assert_eq!(bench.verify_with(set("aud", Value::Null)), Err(TokenError::WrongAudience));
    assert_eq!(bench.verify_with(set("sub", Value::Null)), Err(TokenError::Malformed));
    assert_eq!(bench.verify_with(set("sub", json!(""))), Err(TokenError::Malformed));
    assert_eq!(bench.verify_with(set("sub", json!("x".repeat(200)))), Err(TokenError::Malformed));
    assert_eq!(bench.verify_with(set("exp", json!("soon"))), Err(TokenError::Malformed));
    assert_eq!(bench.verify_with(set("exp", json!(-1))), Err(TokenError::Malformed));
    assert_eq!(bench.verify_with(set("scope", json!("chat:*:x"))), Err(TokenError::BadScope));
    assert_eq!(bench.verify_with(set("scope", json!("a:b:c ".repeat(65)))), Err(TokenError::BadScope));
    assert_eq!(bench.verify_with(|claims| *claims = json!([1])), Err(TokenError::Malformed));
}

#[test]
fn the_leeway_is_a_minute_each_way() {
    let bench = bench();
    assert_eq!(bench.verify_with(|claims| claims["exp"] = json!(NOW - 59)), Ok(()));
    assert_eq!(bench.verify_with(|claims| claims["nbf"] = json!(NOW + 60)), Ok(()));
}

#[test]
fn only_eddsa_with_a_known_key_is_looked_at() {
    let bench = bench();
    let kid = bench.signer.kid();
    for alg in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
        assert_eq!(
            bench.verify_header(&json!({"alg": alg, "kid": kid})),
            Err(TokenError::WrongAlgorithm),
            "{alg}"
        );
    }
    assert_eq!(bench.verify_header(&json!({"alg": "EdDSA"})), Err(TokenError::UnknownKey));
    assert_eq!(bench.verify_header(&json!({"alg": "EdDSA", "kid": "other"})), Err(TokenError::UnknownKey));
    let critical = json!({"alg": "EdDSA", "kid": kid, "crit": ["exp"]});
    assert_eq!(bench.verify_header(&critical), Err(TokenError::Malformed));
    // The header is signed too: any other spelling of it breaks the signature.
    let spelt = json!({"kid": kid, "alg": "EdDSA", "x": 1});
    assert_eq!(bench.verify_header(&spelt), Err(TokenError::BadSignature));
}

#[test]
fn an_unsigned_token_is_refused_whatever_it_claims() {
    let bench = bench();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(json!({"alg": "none"})), part(good_claims()));
    assert_eq!(bench.authenticator.verify(&unsigned).map(drop), Err(TokenError::WrongAlgorithm));
    let header = part(json!({"alg": "EdDSA", "kid": bench.signer.kid()}));
    let empty = format!("{header}.{}.", part(good_claims()));
    assert_eq!(bench.authenticator.verify(&empty).map(drop), Err(TokenError::BadSignature));
}

#[test]
fn a_stranger_with_a_known_key_id_is_refused() {
    let bench = bench();
    let stranger = Signer::generate(KeyOwner::Issuer).unwrap();
    let token = stranger.sign(&good_claims()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "EdDSA", "kid": bench.signer.kid()}).to_string());
    assert_eq!(
        bench.authenticator.verify(&format!("{header}.{rest}")).map(drop),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn shapes_that_are_no_token() {
    let bench = bench();
    assert_eq!(bench.authenticator.verify("").map(drop), Err(TokenError::Missing));
    let long = "a".repeat(9_000);
    for text in ["a", "a.b", "a.b.c", "..", "é.é.é", "e30.e30.e30", long.as_str()] {
        assert_eq!(bench.authenticator.verify(text).map(drop), Err(TokenError::Malformed), "{text}");
    }
}

#[test]
fn a_cached_token_still_expires() {
    let bench = bench();
    let token = bench.signer.sign(&good_claims()).unwrap();
    let first = bench.authenticator.verify(&token).unwrap();
    assert!(Arc::ptr_eq(&first, &bench.authenticator.verify(&token).unwrap()));
    bench.time.store(NOW + 900 + 60, Ordering::SeqCst);
    assert_eq!(bench.authenticator.verify(&token).map(drop), Err(TokenError::Expired));
}

#[test]
fn minted_tokens_verify() {
    let bench = bench();
    let claims = Claims::new("ada", vec!["admin".parse().unwrap()]);
    let token = bench.signer.mint_within(claims, Duration::from_mins(15), NOW * 1000).unwrap().token;
    assert!(bench.authenticator.verify(&token).unwrap().is_admin());
}

#[test]
fn guests_are_let_in_only_when_switched_on() {
    assert!(bench().authenticator.guest().is_none());
    let scopes = vec!["chat:publish:room/lobby".parse().unwrap()];
    let config = AuthConfig { guest: GuestConfig { enabled: true, scopes }, ..AuthConfig::default() };
    let guest = Authenticator::new(&config).unwrap().guest().unwrap();
    assert_eq!(guest.kind, IdentityKind::Guest);
    assert!(guest.allows("chat", "publish", "room/lobby"));
    assert!(!guest.allows("chat", "publish", "room/other"));
}

#[test]
fn a_key_set_is_read_again_and_a_removed_key_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (old, new) =
        (Signer::generate(KeyOwner::Issuer).unwrap(), Signer::generate(KeyOwner::Issuer).unwrap());
    old.jwks().write(&path).unwrap();
    let time = Arc::new(AtomicU64::new(NOW));
    let config = AuthConfig { jwks_file: Some(path.clone()), ..AuthConfig::default() };
    let authenticator = Authenticator::with_keys(&config, Jwks::default(), clock(&time)).unwrap();
    let (old_token, new_token) = (old.sign(&good_claims()).unwrap(), new.sign(&good_claims()).unwrap());
    assert!(authenticator.verify(&old_token).is_ok());
    assert_eq!(authenticator.verify(&new_token).map(drop), Err(TokenError::UnknownKey));

    let mut both = old.jwks();
    both.merge(new.jwks());
    both.write(&path).unwrap();
    time.store(NOW + 10, Ordering::SeqCst);
    assert!(authenticator.verify(&new_token).is_ok());
    assert!(authenticator.verify(&old_token).is_ok());

    new.jwks().write(&path).unwrap();
    time.store(NOW + 20, Ordering::SeqCst);
    assert_eq!(authenticator.verify(&old_token).map(drop), Err(TokenError::UnknownKey));

    fs::write(&path, "half a file").unwrap();
    time.store(NOW + 30, Ordering::SeqCst);
    assert!(authenticator.verify(&new_token).is_ok(), "a broken file leaves the old keys");
    fs::remove_file(&path).unwrap();
    time.store(NOW + 40, Ordering::SeqCst);
    assert!(authenticator.verify(&new_token).is_ok(), "a missing file leaves the old keys");
}

#[test]
fn an_absent_key_set_is_an_error_at_start() {
    let config = AuthConfig { jwks_file: Some("/does/not/exist.json".into()), ..AuthConfig::default() };
    assert!(Authenticator::new(&config).is_err());
}

#[test]
fn keys_of_other_kinds_are_left_out() {
    let mut jwks: Jwks = serde_json::from_value(json!({"keys": [
        {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "kid": "h", "k": "c2VjcmV0"},
    ]}))
    .unwrap();
    assert!(super::key_set(&jwks).unwrap().is_empty());
    let mut short = Signer::generate(KeyOwner::Issuer).unwrap().jwks();
    short.keys[0].x = Some("AQAB".to_owned());
    jwks.merge(short);
    assert!(super::key_set(&jwks).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_token_never_verifies(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bench = bench();
        let token = bench.signer.sign(&good_claims()).unwrap();
        let mut bytes = token.clone().into_bytes();
        let at = position.index(bytes.len());
        bytes[at] = byte;
        let mutated = String::from_utf8_lossy(&bytes).into_owned();
        prop_assume!(mutated != token);
        prop_assert!(bench.authenticator.verify(&mutated).is_err());
    }

    #[test]
    fn a_cut_or_joined_token_never_verifies(cut in any::<prop::sample::Index>(), tail in "[A-Za-z0-9._=-]{0,12}") {
        let bench = bench();
        let token = bench.signer.sign(&good_claims()).unwrap();
        let changed = format!("{}{tail}", &token[..cut.index(token.len())]);
        prop_assume!(changed != token);
        prop_assert!(bench.authenticator.verify(&changed).is_err());
    }

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in "\\PC{0,60}(\\.\\PC{0,60}){0,3}") {
        prop_assert!(bench().authenticator.verify(&text).is_err());
    }
}
