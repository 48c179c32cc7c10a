//! Keys that an anchor has signed: what they may do, who may publish them, and what follows what.

use super::{Authenticator, NowSeconds};
use crate::{
    AuthConfig, Claims, IdentityKind, Jwks, KeyOwner, KeySetChange, Revocation, Scope, Signer, SignerError,
    TokenError,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

struct Bench {
    anchor: Signer,
    service: Signer,
    time: Arc<AtomicU64>,
    authenticator: Authenticator,
}

fn bench() -> Bench {
    let anchor = signer(KeyOwner::Issuer);
    let service = signer(KeyOwner::Service("console".to_owned()));
    let mut keys = service.jwks().allowing(&[scope("chat:admin:*")]);
    keys.merge(anchor.jwks());
    let time = Arc::new(AtomicU64::new(now()));
    let authenticator = Authenticator::with_keys(&AuthConfig::default(), keys, clock(&time)).unwrap();
    Bench { anchor, service, time, authenticator }
}

/// Key set tokens carry the machine's time.
fn now() -> u64 {
    super::system_seconds()
}

fn clock(time: &Arc<AtomicU64>) -> NowSeconds {
    let time = time.clone();
    Arc::new(move || time.load(Ordering::SeqCst))
}

fn signer(owner: KeyOwner) -> Signer {
    Signer::generate(owner).unwrap()
}

fn issuer() -> Signer {
    signer(KeyOwner::Issuer)
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn token(signer: &Signer) -> String {
    signer.mint(Claims::new("ada", vec![scope("chat:publish:room/x")])).unwrap()
}

fn key_set_claims(jwks: &Jwks) -> Value {
    json!({"iss": "patchbay", "aud": "patchbay-key-set", "iat": now(), "seq": 1, "jwks": jwks})
}

impl Bench {
    fn accept(&self, keys: &[&Signer], sequence: u64) -> Result<KeySetChange, TokenError> {
        let mut jwks = Jwks::default();
        for key in keys {
            jwks.merge(key.jwks());
        }
        self.authenticator.accept_key_set(&self.anchor.sign_key_set(&jwks, sequence).unwrap())
    }

    fn verify(&self, token: &str) -> Result<(), TokenError> {
        self.authenticator.verify(token).map(drop)
    }
}

#[test]
fn keys_that_an_anchor_signed_sign_until_they_leave_the_set() {
    let bench = bench();
    let (old, new) = (issuer(), issuer());
    let (old_token, new_token, anchors) = (token(&old), token(&new), token(&bench.anchor));
    assert_eq!(bench.verify(&old_token), Err(TokenError::UnknownKey));
    assert_eq!(bench.accept(&[&old], 1), Ok(KeySetChange::Replaced { keys: 1 }));
    assert_eq!(bench.verify(&old_token), Ok(()));
    assert_eq!(bench.accept(&[&old, &new], 2), Ok(KeySetChange::Replaced { keys: 2 }));
    assert_eq!((bench.verify(&old_token), bench.verify(&new_token)), (Ok(()), Ok(())));
    assert_eq!(bench.accept(&[&new], 3), Ok(KeySetChange::Replaced { keys: 1 }));
    assert_eq!(bench.verify(&old_token), Err(TokenError::UnknownKey), "cached before, and gone with its key");
    assert_eq!((bench.verify(&new_token), bench.verify(&anchors)), (Ok(()), Ok(())));
}

#[test]
fn an_older_set_is_refused_and_the_same_one_changes_nothing() {
    let bench = bench();
    let (old, new) = (issuer(), issuer());
    bench.accept(&[&new], 7).unwrap();
    assert_eq!(bench.accept(&[&old], 6), Err(TokenError::OldKeySet));
    assert_eq!(bench.accept(&[&new], 7), Ok(KeySetChange::Unchanged));
    assert_eq!(bench.verify(&token(&old)), Err(TokenError::UnknownKey));
    assert_eq!(bench.verify(&token(&new)), Ok(()));
}

#[test]
fn only_an_anchor_publishes_keys() {
    let bench = bench();
    let (published, next) = (issuer(), issuer());
    bench.accept(&[&published], 1).unwrap();
    let sign = |signer: &Signer| signer.sign_as("jwks+jwt", &key_set_claims(&next.jwks())).unwrap();
    let accept = |text: &str| bench.authenticator.accept_key_set(text);
    assert_eq!(accept(&sign(&bench.service)), Err(TokenError::UnknownKey), "a service's key");
    assert_eq!(accept(&sign(&published)), Err(TokenError::UnknownKey), "a key that was published itself");
    assert_eq!(accept(&sign(&issuer())), Err(TokenError::UnknownKey), "a stranger's key");
    let stranger = sign(&issuer());
    let (_, rest) = stranger.split_once('.').unwrap();
    let header = json!({"alg": "EdDSA", "kid": bench.anchor.kid(), "typ": "jwks+jwt"}).to_string();
    let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
    assert_eq!(accept(&forged), Err(TokenError::BadSignature));
    assert_eq!(bench.verify(&token(&next)), Err(TokenError::UnknownKey));
    let refused = bench.service.sign_key_set(&next.jwks(), 2);
    assert!(matches!(refused, Err(SignerError::Claims(_))), "a service's key does not even try");
}

#[test]
fn a_set_that_is_not_one_of_ours_is_refused() {
    let bench = bench();
    let next = issuer();
    let accept = |typ: &str, change: &dyn Fn(&mut Value)| {
        let mut claims = key_set_claims(&next.jwks());
        change(&mut claims);
        bench.authenticator.accept_key_set(&bench.anchor.sign_as(typ, &claims).unwrap())
    };
    let is = |error| Err::<KeySetChange, _>(error);
    assert_eq!(accept("JWT", &|_| {}), is(TokenError::WrongType));
    assert_eq!(accept("jwks+jwt", &|c| c["aud"] = json!("patchbay")), is(TokenError::WrongAudience));
    assert_eq!(accept("jwks+jwt", &|c| c["iss"] = json!("other")), is(TokenError::WrongIssuer));
    assert_eq!(accept("jwks+jwt", &|c| c["iat"] = json!(now() + 3_600)), is(TokenError::NotYetValid));
    assert_eq!(accept("jwks+jwt", &|c| c["seq"] = json!(-1)), is(TokenError::Malformed));
    assert_eq!(accept("jwks+jwt", &|c| c["jwks"] = json!(null)), is(TokenError::Malformed));
    let short = |c: &mut Value| c["jwks"]["keys"][0]["x"] = json!("AQAB");
    assert_eq!(accept("jwks+jwt", &short), is(TokenError::Malformed));
    let many = |c: &mut Value| c["jwks"]["keys"] = json!(vec![c["jwks"]["keys"][0].clone(); 65]);
    assert_eq!(accept("jwks+jwt", &many), is(TokenError::Malformed));
    // Keys for services, or with scopes of their own, never come this way.
    let subject = |c: &mut Value| c["jwks"]["keys"][0]["patchbay_sub"] = json!("svc:console");
    assert_eq!(accept("jwks+jwt", &subject), is(TokenError::Malformed));
    let scopes = |c: &mut Value| c["jwks"]["keys"][0]["patchbay_scopes"] = json!(["admin"]);
    assert_eq!(accept("jwks+jwt", &scopes), is(TokenError::Malformed));
    assert!(bench.anchor.sign_key_set(&bench.service.jwks(), 1).is_err());
    for text in ["", "a", "a.b.c", &"a".repeat(70_000)] {
        assert_eq!(bench.authenticator.accept_key_set(text), is(TokenError::Malformed));
    }
    let unsigned = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "jwks+jwt"}).to_string());
    let unsigned =
        format!("{unsigned}.{}.", URL_SAFE_NO_PAD.encode(key_set_claims(&next.jwks()).to_string()));
    assert_eq!(bench.authenticator.accept_key_set(&unsigned), is(TokenError::WrongAlgorithm));
    assert_eq!(accept("jwks+jwt", &|_| {}), Ok(KeySetChange::Replaced { keys: 1 }), "the good one is good");
}

#[test]
fn a_key_set_lets_nobody_in_and_a_token_publishes_nothing() {
    let bench = bench();
    let set = bench.anchor.sign_key_set(&issuer().jwks(), 1).unwrap();
    assert_eq!(bench.verify(&set), Err(TokenError::WrongType));
    assert_eq!(bench.authenticator.accept_key_set(&token(&bench.anchor)), Err(TokenError::WrongType));
}

#[test]
fn a_published_key_never_signs_for_a_service() {
    let bench = bench();
    let published = issuer();
    bench.accept(&[&published], 1).unwrap();
    let mint = |signer: &Signer| signer.mint(Claims::new("svc:console", Vec::new())).unwrap();
    assert_eq!(bench.verify(&mint(&published)), Err(TokenError::WrongSubject));
    assert_eq!(bench.verify(&mint(&bench.service)), Ok(()));
}

#[test]
fn an_anchor_stands_over_a_published_key_of_the_same_id() {
    let bench = bench();
    let mut jwks = issuer().jwks();
    jwks.keys[0].kid = Some(bench.anchor.kid().to_owned());
    bench.authenticator.accept_key_set(&bench.anchor.sign_key_set(&jwks, 1).unwrap()).unwrap();
    assert_eq!(bench.verify(&token(&bench.anchor)), Ok(()));
}

#[test]
fn keys_go_with_the_anchor_that_published_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (first, second, published) = (issuer(), issuer(), issuer());
    first.jwks().write(&path).unwrap();
    let time = Arc::new(AtomicU64::new(now()));
    let config = AuthConfig { jwks_file: Some(path.clone()), ..AuthConfig::default() };
    let authenticator = Authenticator::with_keys(&config, Jwks::default(), clock(&time)).unwrap();
    let set = |signer: &Signer, sequence| signer.sign_key_set(&published.jwks(), sequence).unwrap();
    let token = token(&published);
    authenticator.accept_key_set(&set(&first, 9)).unwrap();
    assert!(authenticator.verify(&token).is_ok());
    second.jwks().write(&path).unwrap();
    time.fetch_add(10, Ordering::SeqCst);
    assert_eq!(authenticator.verify(&token).map(drop), Err(TokenError::UnknownKey));
    authenticator.accept_key_set(&set(&second, 1)).expect("another anchor counts for itself");
    assert!(authenticator.verify(&token).is_ok());
}

#[test]
fn a_services_key_grants_what_its_entry_lists_and_no_more() {
    let bench = bench();
    let mint = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|text| scope(text)).collect();
        bench.service.mint(Claims::new("svc:console", scopes)).unwrap()
    };
    let identity = bench.authenticator.verify(&mint(&["chat:admin:room/x", "chat:admin:*"])).unwrap();
    assert_eq!(identity.kind, IdentityKind::Service);
    assert_eq!(bench.verify(&mint(&[])), Ok(()));
    for scopes in [&["admin"][..], &["chat:publish:x"], &["chat:admin:*", "keys:use:*"]] {
        assert_eq!(bench.verify(&mint(scopes)), Err(TokenError::ScopeNotAllowed), "{scopes:?}");
    }
    // A set written before the member existed allows nothing.
    let old =
        Authenticator::with_keys(&AuthConfig::default(), bench.service.jwks(), clock(&bench.time)).unwrap();
    assert!(old.verify(&mint(&[])).is_ok());
    assert_eq!(old.verify(&mint(&["chat:admin:*"])).map(drop), Err(TokenError::ScopeNotAllowed));
}

#[test]
fn what_is_revoked_is_refused_whether_cached_or_not() {
    let bench = bench();
    let claims =
        |session: &str| Claims { session: Some(session.to_owned()), ..Claims::new("ada", Vec::new()) };
    let at = now() * 1000;
    let mint = |session, ms| bench.anchor.mint_at(claims(session), ms).unwrap();
    let (cached, fresh, other) = (mint("s1", at), mint("s1", at), mint("s2", at));
    let identity = bench.authenticator.verify(&cached.token).unwrap();
    assert_eq!(identity.token_id.as_deref(), Some(&*cached.id));
    assert_eq!((identity.session.as_deref(), identity.issued_at_ms), (Some("s1"), at));
    assert_ne!(cached.id, fresh.id);

    let changes = bench.authenticator.revocations();
    bench.authenticator.revoke(Revocation::session("s1", cached.expires_at));
    assert!(changes.has_changed().unwrap() && bench.authenticator.is_revoked(&identity));
    assert_eq!(bench.verify(&cached.token), Err(TokenError::Revoked));
    assert_eq!(bench.verify(&fresh.token), Err(TokenError::Revoked));
    assert_eq!(bench.verify(&other.token), Ok(()));

    bench.authenticator.revoke(Revocation::subject("ada", at + 5, other.expires_at));
    assert_eq!(bench.verify(&other.token), Err(TokenError::Revoked));
    assert_eq!(bench.verify(&mint("s3", at + 6).token), Ok(()), "signed in again in the same second");
    bench.time.store(cached.expires_at + 60, Ordering::SeqCst);
    assert_eq!(bench.verify(&cached.token), Err(TokenError::Expired), "its end comes first");
}

#[test]
fn a_time_of_issue_that_contradicts_itself_is_refused() {
    let bench = bench();
    let verify = |claims: Value| bench.verify(&bench.anchor.sign(&claims).unwrap());
    let at = now();
    let claims = |ms: Value| json!({"iss": "patchbay", "aud": "patchbay", "sub": "ada", "iat": at, "exp": at + 60, "iat_ms": ms});
    assert_eq!(verify(claims(json!(at * 1000 + 999))), Ok(()));
    assert_eq!(verify(claims(json!(at * 1000 + 1000))), Err(TokenError::Malformed));
    assert_eq!(verify(claims(json!(0))), Err(TokenError::Malformed));
    let with = |name: &str| {
        let mut claims = claims(Value::Null);
        claims[name] = json!("x".repeat(129));
        verify(claims)
    };
    assert_eq!((with("jti"), with("sid")), (Err(TokenError::Malformed), Err(TokenError::Malformed)));
}
