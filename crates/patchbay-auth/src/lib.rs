//! Who is calling, and what may they do: tokens, scopes, the guest policy and service identities.
//!
//! Every service verifies tokens locally with an [`Authenticator`], which talks to nobody. Tokens are
//! JWTs signed with Ed25519 and nothing else. The keys of `auth.jwks_file` are its anchors; [`follow`] keeps it told,
//! over the backplane, of the keys that an anchor has signed and of what was revoked. A [`Signer`] mints them: for people on behalf of the operator, and
//! through [`ServiceTokens`] for the calls that services make to each other. [`GrpcAuthLayer`] stands before
//! every gRPC server.
//!
//! This crate knows no service's actions: a service asks `identity.allows("chat", "publish", "room/lobby")`.

mod authenticator;
mod cache;
mod config;
mod follow;
mod grpc;
mod identity;
mod jwks;
mod key_ring;
mod key_set_token;
mod revocation;
mod scope;
mod service_tokens;
mod signer;
mod token;
mod topic_filter;

pub use authenticator::{AuthError, Authenticator, NowSeconds};
pub use config::{AuthConfig, GuestConfig};
pub use follow::{announce_key_set, announce_revocation, follow};
pub use grpc::{GrpcAuth, GrpcAuthLayer, MethodScopes, Requirement, bearer};
pub use identity::{Identity, IdentityKind};
pub use jwks::{Jwk, Jwks, JwksError};
pub use key_set_token::KeySetChange;
pub use revocation::{Revocation, Revoked};
pub use scope::{Scope, ScopeError};
pub use service_tokens::{ServiceKeyError, ServiceTokens};
pub use signer::{Claims, KeyOwner, Minted, Signer, SignerError};
pub use token::TokenError;

/// Issuer and audience of every token.
pub const ISSUER: &str = "patchbay";

/// What subjects of service identities begin with; the rest is the service's name.
pub const SERVICE_SUBJECT_PREFIX: &str = "svc:";
