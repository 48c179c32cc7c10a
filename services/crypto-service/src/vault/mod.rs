//! The client protocol of Vault's Transit engine, as `OpenBao` speaks it too, in the words of this service's own calls.
//!
//! Paths under `/v1/transit/`, and the few others that clients look at before they begin. Every request becomes calls of the gRPC
//! services of this process, so that permissions, limits and the audit log are the same; `docs/guides/vault.md` says what differs
//! from Vault.

mod batch;
mod body;
mod certificates;
mod cipher;
mod context;
mod export;
mod frame;
mod import;
mod key;
mod keys;
mod session;
mod signature;
mod system;
mod tools;
mod wipe;

pub(crate) use system::{Sealed, sealed_health, sealed_status};

use crate::core::Core;
use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use body::Fields;
use frame::{Answer, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use patchbay_transcode::{Calls, Limits, Problem};
use percent_encoding::percent_decode_str;
use session::Session;
use std::{borrow::Cow, sync::Arc};

/// Where the engine is.
const MOUNT: &str = "/v1/transit/";

/// Names the namespace that a client of Vault speaks of.
const X_VAULT_NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// What a handler gives back.
type Outcome = Result<Answer, Refusal>;

/// What all requests share.
struct Vault {
    core: Arc<Core>,
    calls: Calls,
    limits: Limits,
}

/// What Vault calls the methods of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Read,
    List,
    Write,
    Delete,
    Other,
}

/// The paths of Vault's clients.
pub(crate) fn router(core: &Arc<Core>, calls: Calls, limits: Limits) -> Router {
    let vault = Arc::new(Vault { core: Arc::clone(core), calls, limits });
    Router::new()
        .route("/v1/transit/{*rest}", routing::any(transit))
        .route("/v1/sys/health", routing::any(system::health))
        .route("/v1/sys/seal-status", routing::any(system::seal_status))
        .route("/v1/auth/token/lookup-self", routing::any(lookup_self))
        .with_state(vault)
}

/// Whether a path is one of Vault's, so that errors are in its form.
pub(crate) fn speaks(path: &str) -> bool {
    [MOUNT, "/v1/sys/", "/v1/auth/token/"].iter().any(|prefix| path.starts_with(prefix))
}

/// An error that was found before a handler was called.
pub(crate) fn refusal(problem: &Problem) -> Response {
    Refusal::from(problem).into_response()
}

async fn transit(State(vault): State<Arc<Vault>>, request: Request<Body>) -> Response {
    let answered = vault.answer(request).await;
    answered.map_or_else(IntoResponse::into_response, |answer| answer.into_response(&vault.core.context.ids))
}

async fn lookup_self(State(vault): State<Arc<Vault>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let answered = vault.session(&parts).and_then(|session| match Verb::of(&parts.method, "") {
        Verb::Read | Verb::Write => Ok(system::lookup_self(&session)),
        _ => Err(Refusal::unsupported()),
    });
    answered.map_or_else(IntoResponse::into_response, |answer| answer.into_response(&vault.core.context.ids))
}

impl Vault {
    /// Begins a request. Who it is is asked first: strangers are told nothing, and nothing of theirs is read.
    fn session(&self, parts: &Parts) -> Result<Session, Refusal> {
        let session = Session::begin(&self.core, &self.calls, parts, self.limits.call)?;
        refuse_namespace(&parts.headers)?;
        Ok(session)
    }

    async fn answer(&self, request: Request<Body>) -> Outcome {
        let (parts, body) = request.into_parts();
        let session = self.session(&parts)?;
        let verb = Verb::of(&parts.method, parts.uri.query().unwrap_or_default());
        let segments = segments(parts.uri.path())?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let body = self.read(body).await?;
        dispatch(&session, verb, &segments, &body).await
    }

    /// The body, whatever it says of its type: clients of Vault often say nothing.
    async fn read(&self, body: Body) -> Result<Fields, Refusal> {
        let limited = Limited::new(body, self.limits.body).collect();
        let read = tokio::time::timeout(self.limits.arrival, limited).await;
        let read = read.map_err(|_| Refusal::from(&Problem::too_slow()))?;
        let body = read.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Refusal::from(&Problem::too_large(self.limits.body));
            }
            Refusal::bad("the body broke off")
        })?;
        Fields::parse(&body.to_bytes())
    }
}

/// There is one namespace. A request for another must not change the keys of this one.
fn refuse_namespace(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_ours = |value: &HeaderValue| matches!(value.as_bytes(), b"" | b"/" | b"root" | b"root/");
    if headers.get_all(X_VAULT_NAMESPACE).iter().all(is_ours) {
        return Ok(());
    }
    Err(Refusal::bad("there are no namespaces here: leave `x-vault-namespace` out"))
}

/// What stands between the slashes after the mount. Decoded only then: an encoded slash is part of a name, which no key may have.
fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Refusal> {
    let rest = path.strip_prefix(MOUNT).unwrap_or_default().trim_end_matches('/');
    let decode = |segment| percent_decode_str(segment).decode_utf8();
    rest.split('/').map(decode).collect::<Result<_, _>>().map_err(|_| Refusal::bad("the path is not UTF-8"))
}

impl Verb {
    fn of(method: &Method, query: &str) -> Self {
        match method.as_str() {
            "GET" if form_urlencoded::parse(query.as_bytes()).any(|(k, v)| k == "list" && v == "true") => {
                Self::List
            }
            "GET" => Self::Read,
            "LIST" => Self::List,
            "POST" | "PUT" => Self::Write,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

async fn dispatch(session: &Session, verb: Verb, path: &[&str], body: &Fields) -> Outcome {
    match (verb, path) {
        (Verb::List, ["keys"]) => keys::list(session).await,
        (Verb::Read, ["keys", name]) => keys::read(session, name).await,
        (Verb::Write, ["keys", name]) => keys::create(session, name, body).await,
        (Verb::Delete, ["keys", name]) => keys::delete(session, name).await,
        (Verb::Write, ["keys", name, "config"]) => keys::config(session, name, body).await,
        (Verb::Write, ["keys", name, "rotate"]) => keys::rotate(session, name).await,
        (Verb::Write, ["keys", name, "trim"]) => keys::trim(session, name, body).await,
        (Verb::Write | Verb::Delete, ["keys", name, "soft-delete"]) => keys::soft_delete(session, name).await,
        (Verb::Write, ["keys", name, "soft-delete-restore"]) => keys::undelete(session, name).await,
        (Verb::Read, ["export", kind, name]) => export::export(session, kind, name, None).await,
        (Verb::Read, ["export", kind, name, version]) => {
            export::export(session, kind, name, Some(version)).await
        }
        (Verb::Read, ["backup", name]) => export::backup(session, name).await,
        (Verb::Write, ["restore"]) => export::restore(session, None, body).await,
        (Verb::Write, ["restore", name]) => export::restore(session, Some(name), body).await,
        (Verb::Read, ["wrapping_key"]) => import::wrapping_key(session).await,
        (Verb::Read, ["cache-config"]) => Ok(tools::cache_config()),
        (Verb::Write, _) => write(session, path, body).await,
        _ => Err(no_such(path)),
    }
}

async fn write(session: &Session, path: &[&str], body: &Fields) -> Outcome {
    match path {
        ["keys", name, "import"] => import::import(session, name, body).await,
        ["keys", name, "import_version"] => import::import_version(session, name, body).await,
        ["keys", name, "csr"] => certificates::request(session, name, body).await,
        ["keys", name, "set-certificate"] => certificates::set(session, name, body).await,
        ["encrypt", name] => cipher::encrypt(session, name, body).await,
        ["decrypt", name] => cipher::decrypt(session, name, body).await,
        ["rewrap", name] => cipher::rewrap(session, name, body).await,
        ["datakey", kind, name] => cipher::data_key(session, kind, name, body).await,
        ["sign", name] => signature::sign(session, name, None, body).await,
        ["sign", name, algorithm] => signature::sign(session, name, Some(algorithm), body).await,
        ["verify", name] => signature::verify(session, name, None, body).await,
        ["verify", name, algorithm] => signature::verify(session, name, Some(algorithm), body).await,
        ["hmac", name] => signature::hmac(session, name, None, body).await,
        ["hmac", name, algorithm] => signature::hmac(session, name, Some(algorithm), body).await,
        ["random"] | ["random", "platform" | "seal" | "all"] => tools::random(session, None, body).await,
        ["random", bytes] | ["random", "platform" | "seal" | "all", bytes] => {
            tools::random(session, Some(bytes), body).await
        }
        ["hash"] => tools::hash(session, None, body).await,
        ["hash", algorithm] => tools::hash(session, Some(algorithm), body).await,
        _ => Err(no_such(path)),
    }
}

/// Why there is no such path, as clearly as it can be said.
fn no_such(path: &[&str]) -> Refusal {
    match path {
        ["byok-export", ..] => Refusal::not_offered(
            "keys are not given out under another's wrapping key; an exportable one can be exported and imported",
        ),
        ["config", "keys"] | ["cache-config"] => {
            Refusal::not_offered("this cannot be changed here; see the configuration of the service")
        }
        [
            "keys" | "wrapping_key" | "export" | "encrypt" | "decrypt" | "rewrap" | "datakey" | "sign"
            | "verify" | "hmac" | "random" | "hash" | "backup" | "restore",
            ..,
        ] => Refusal::unsupported(),
        _ => Refusal::no_route(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_parts_nothing() {
        let parted = |path| segments(path).unwrap().into_iter().map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(parted("/v1/transit/keys/a%2Db/rotate/"), ["keys", "a-b", "rotate"]);
        assert_eq!(parted("/v1/transit/keys/a%2Frotate"), ["keys", "a/rotate"]);
        assert_eq!(parted("/v1/transit/keys//config"), ["keys", "", "config"]);
        assert!(segments("/v1/transit/keys/%ff").is_err());
    }

    #[test]
    fn there_is_one_namespace() {
        let asked = |name: &str| {
            refuse_namespace(&HeaderMap::from_iter([(X_VAULT_NAMESPACE, name.parse().unwrap())]))
        };
        assert!(asked("").is_ok() && asked("root").is_ok() && refuse_namespace(&HeaderMap::new()).is_ok());
        assert!(asked("team-a/").is_err() && asked("root/team-a").is_err());
    }
}
