//! Puts a service's own token on every gRPC call that it makes.

use crate::{
    Claims, Jwks, KeyOwner, SERVICE_SUBJECT_PREFIX, Scope, ScopeError, Signer, SignerError,
    authenticator::system_millis,
};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Lifetime of a service's token.
const TTL: Duration = Duration::from_mins(5);

/// How long a token is used, in seconds: well before its end, so that none expires on its way.
const USE_SECONDS: u64 = TTL.as_secs() / 2;

/// Client interceptor. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct ServiceTokens {
    inner: Arc<Inner>,
}

struct Inner {
    signer: Signer,
    subject: String,
    scopes: Vec<Scope>,
    current: Mutex<Option<Current>>,
}

struct Current {
    header: MetadataValue<Ascii>,
    renew_at: u64,
}

/// Why a service has no identity.
#[derive(Debug, thiserror::Error)]
pub enum ServiceKeyError {
    /// Its key cannot be had.
    #[error(transparent)]
    Key(#[from] SignerError),
    /// What it needs of the others is no scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

impl ServiceTokens {
    /// Opens a service's key, or makes one in memory that only this process believes: then its public half, limited to
    /// what the service needs of the others, is the key set that comes with it. That of a file stands in
    /// `auth.jwks_file`, and the key set is empty.
    pub fn open(
        service: &str,
        calls: &[&str],
        key_file: Option<&Path>,
    ) -> Result<(Self, Jwks), ServiceKeyError> {
        let scopes = calls.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
        let owner = KeyOwner::Service(service.to_owned());
        if let Some(path) = key_file {
            return Ok((Self::new(Signer::load(path, owner)?, service, scopes), Jwks::default()));
        }
        let signer = Signer::generate(owner)?;
        let own_key = signer.jwks().allowing(&scopes);
        Ok((Self::new(signer, service, scopes), own_key))
    }

    /// Signs as `svc:<service>`, with what the service needs of the others.
    pub fn new(signer: Signer, service: &str, scopes: Vec<Scope>) -> Self {
        let subject = format!("{SERVICE_SUBJECT_PREFIX}{service}");
        Self { inner: Arc::new(Inner { signer, subject, scopes, current: Mutex::new(None) }) }
    }

    /// A secret that all replicas of the service share, since they share its key; different for each label.
    pub fn derive_secret(&self, label: &str) -> [u8; 32] {
        self.inner.signer.derive_secret(label)
    }

    /// Returns the value of the `authorization` header, from the cache while it is fresh.
    pub fn header(&self) -> Result<MetadataValue<Ascii>, SignerError> {
        let now_ms = system_millis();
        let now = now_ms / 1000;
        let mut current = self.inner.current.lock();
        if let Some(fresh) = current.as_ref().filter(|c| now < c.renew_at) {
            return Ok(fresh.header.clone());
        }
        let header = self.inner.sign(now_ms)?;
        *current = Some(Current { header: header.clone(), renew_at: now + USE_SECONDS });
        Ok(header)
    }
}

impl Inner {
    fn sign(&self, now_ms: u64) -> Result<MetadataValue<Ascii>, SignerError> {
        let claims = Claims { ttl: TTL, ..Claims::new(self.subject.clone(), self.scopes.clone()) };
        let token = self.signer.mint_at(claims, now_ms)?.token;
        let mut header: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| SignerError::Claims("the token is no header value"))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl Interceptor for ServiceTokens {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let header = self.header().map_err(|error| {
            tracing::error!(error = %error, "cannot sign the service's token");
            Status::internal("cannot sign the service's token")
        })?;
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceTokens;
    use crate::{
        AuthConfig, Authenticator, IdentityKind, Jwks, KeyOwner, Signer, TokenError,
        authenticator::system_seconds,
    };
    use std::sync::Arc;

    fn believed(signer: &Signer) -> Jwks {
        signer.jwks().allowing(&["chat:admin:*".parse().unwrap()])
    }

    #[test]
    fn a_service_signs_for_itself_and_reuses_its_token() {
        let signer = Signer::generate(KeyOwner::Service("console".to_owned())).unwrap();
        let authenticator =
            Authenticator::with_keys(&AuthConfig::default(), believed(&signer), Arc::new(system_seconds))
                .unwrap();
        let tokens = ServiceTokens::new(signer, "console", vec!["chat:admin:*".parse().unwrap()]);
        let header = tokens.header().unwrap();
        assert_eq!(header, tokens.clone().header().unwrap());
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let identity = authenticator.verify(token).unwrap();
        assert_eq!(&*identity.subject, "svc:console");
        assert_eq!(identity.kind, IdentityKind::Service);
        assert!(identity.allows("chat", "admin", "room/x"));
    }

    #[test]
    fn a_service_cannot_sign_for_another() {
        let signer = Signer::generate(KeyOwner::Service("console".to_owned())).unwrap();
        let authenticator =
            Authenticator::with_keys(&AuthConfig::default(), believed(&signer), Arc::new(system_seconds))
                .unwrap();
        let tokens = ServiceTokens::new(signer, "chat-gateway", vec![]);
        let header = tokens.header().unwrap();
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(authenticator.verify(token), Err(TokenError::WrongSubject));
    }
}
