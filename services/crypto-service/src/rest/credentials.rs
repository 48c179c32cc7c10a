//! Who sends a request: a token or an API key, as `Authorization: Bearer` or as `X-Vault-Token`.
//!
//! Either becomes `Authorization: Bearer <token>`, which the layer before the calls checks. An API key is exchanged for a token, and
//! the token is kept until shortly before its end.

use crate::{core::Core, vault};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{body::Body, extract::State, middleware::Next, response::IntoResponse};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use patchbay_auth::Authenticator;
use patchbay_chassis::Clock;
use patchbay_proto::crypto::v1::{ExchangeApiKeyRequest, tokens_client::TokensClient};
use patchbay_transcode::{Calls, Deadline, Problem};
use std::{collections::HashMap, sync::Arc};
use tonic::{Status, metadata::MetadataMap};
use zeroize::Zeroizing;

const X_VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// What API keys begin with.
const API_KEY: &str = "pbk_";

/// Tokens of API keys that are kept; when there are more, those that end first make room.
const MOST_KEPT: usize = 10_000;

/// A token is not used in its last minute, in milliseconds: the call has to get there.
const MARGIN: u64 = 60_000;

/// Exchanges API keys and keeps their tokens.
pub(super) struct Credentials {
    calls: Calls,
    auth: Arc<Authenticator>,
    clock: Clock,
    kept: Mutex<HashMap<KeyHash, Kept>>,
}

/// SHA-256 of an API key: keys are 256 random bits, and are not kept themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyHash([u8; 32]);

struct Kept {
    token: Arc<Zeroizing<String>>,
    /// Unix time in milliseconds.
    until: u64,
}

impl KeyHash {
    fn of(key: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Self(hash)
    }
}

/// Puts the token of a request where the calls look for it.
pub(super) async fn admit(
    State(credentials): State<Arc<Credentials>>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let connection = request.extensions().clone();
    match credentials.normalize(request.headers_mut(), connection).await {
        Ok(()) => next.run(request).await,
        Err(problem) if vault::speaks(request.uri().path()) => vault::refusal(&problem),
        Err(problem) => problem.into_response(),
    }
}

impl Credentials {
    pub(super) fn new(core: &Core, calls: Calls) -> Self {
        let context = &core.context;
        Self { calls, auth: Arc::clone(&context.auth), clock: context.clock.clone(), kept: Mutex::default() }
    }

    async fn normalize(&self, headers: &mut HeaderMap, connection: Extensions) -> Result<(), Problem> {
        adopt_vault_token(headers)?;
        let Some(key) = bearer(headers).filter(|token| token.starts_with(API_KEY)) else { return Ok(()) };
        let hash = KeyHash::of(key);
        let token = match self.kept(hash) {
            Some(token) => token,
            None => self.exchange(hash, key.to_owned(), connection).await.map_err(|s| Problem::from(&s))?,
        };
        set_bearer(headers, &token)
    }

    /// The token of a key, if it is still good: one that was revoked is forgotten.
    fn kept(&self, hash: KeyHash) -> Option<Arc<Zeroizing<String>>> {
        let now = self.clock.now_millis();
        let token = {
            let kept = self.kept.lock();
            kept.get(&hash).filter(|kept| kept.until > now).map(|kept| Arc::clone(&kept.token))?
        };
        if self.auth.verify(&token).is_ok() {
            return Some(token);
        }
        self.kept.lock().remove(&hash);
        None
    }

    async fn exchange(
        &self,
        hash: KeyHash,
        api_key: String,
        connection: Extensions,
    ) -> Result<Arc<Zeroizing<String>>, Status> {
        let message = ExchangeApiKeyRequest { api_key, scopes: Vec::new() };
        let request = tonic::Request::from_parts(MetadataMap::new(), connection, message);
        let mut client = TokensClient::new(self.calls.clone());
        let deadline = Deadline::of(&HeaderMap::new(), super::CALL);
        let answer = deadline.limit(client.exchange_api_key(request)).await?.into_inner();
        let ends = answer.expires.and_then(|end| u64::try_from(end.seconds).ok()).unwrap_or_default();
        let token = Arc::new(Zeroizing::new(answer.token));
        let until = ends.saturating_mul(1000).saturating_sub(MARGIN);
        self.keep(hash, Kept { token: Arc::clone(&token), until });
        Ok(token)
    }

    fn keep(&self, hash: KeyHash, token: Kept) {
        let now = self.clock.now_millis();
        let mut kept = self.kept.lock();
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= MOST_KEPT {
            let first = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(hash, _)| *hash);
            first.and_then(|first| kept.remove(&first));
        }
        kept.insert(hash, token);
    }
}

/// Moves `X-Vault-Token` to `Authorization`; two that differ are refused, for nobody can know which is meant.
fn adopt_vault_token(headers: &mut HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(X_VAULT_TOKEN).iter();
    let Some(token) = values.next().cloned() else { return Ok(()) };
    let ambiguous = || {
        let message = "send one token, as `authorization: Bearer` or as `x-vault-token`";
        Problem::new(StatusCode::BAD_REQUEST, "TWO_TOKENS", message)
    };
    if values.next().is_some() {
        return Err(ambiguous());
    }
    let token = token
        .to_str()
        .map_err(|_| Problem::new(StatusCode::UNAUTHORIZED, "TOKEN_MALFORMED", "the token is malformed"))?;
    headers.remove(X_VAULT_TOKEN);
    if token.is_empty() {
        return Ok(());
    }
    match headers.contains_key(header::AUTHORIZATION) {
        true if bearer(headers) == Some(token) => Ok(()),
        true => Err(ambiguous()),
        false => set_bearer(headers, token),
    }
}

/// The token of `Authorization: Bearer`, where there is exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn set_bearer(headers: &mut HeaderMap, token: &str) -> Result<(), Problem> {
    let value = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::try_from(value.as_str())
        .map_err(|_| Problem::new(StatusCode::UNAUTHORIZED, "TOKEN_MALFORMED", "the token is malformed"))?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn vaults_header_becomes_ours() {
        let mut sent = headers(&[("x-vault-token", "abc")]);
        adopt_vault_token(&mut sent).unwrap();
        assert_eq!(bearer(&sent), Some("abc"));
        assert!(!sent.contains_key(X_VAULT_TOKEN) && sent[header::AUTHORIZATION].is_sensitive());
        let mut both = headers(&[("x-vault-token", "abc"), ("authorization", "Bearer abc")]);
        adopt_vault_token(&mut both).unwrap();
        assert_eq!(bearer(&both), Some("abc"));
    }

    #[test]
    fn two_tokens_are_refused() {
        let mut differ = headers(&[("x-vault-token", "abc"), ("authorization", "Bearer xyz")]);
        assert_eq!(adopt_vault_token(&mut differ).unwrap_err().reason, "TWO_TOKENS");
        let mut twice = headers(&[("x-vault-token", "abc"), ("x-vault-token", "abc")]);
        assert_eq!(adopt_vault_token(&mut twice).unwrap_err().reason, "TWO_TOKENS");
        assert_eq!(bearer(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")])), None);
    }
}
