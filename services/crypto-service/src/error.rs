//! Everything that can go wrong in a call, and what it is on the wire. One enum, so that gRPC, REST and the audit
//! log use the same words.

use patchbay_backplane::BackplaneError;
use patchbay_chassis::{ErrorCode, ServiceError, error::to_status};
use std::{sync::Arc, time::Duration};
use tonic::{Code, Status};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Error {
    #[error("`{field}` {problem}")]
    BadRequest { field: &'static str, problem: String },
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("a scope `{0}` is required")]
    Denied(String),
    #[error("a scope `{0}` cannot be granted by somebody who does not have it")]
    Escalation(String),
    #[error("a token is required")]
    TokenMissing,
    #[error("{0} does not exist")]
    NotFound(String),
    #[error("{0} already exists")]
    AlreadyExists(String),
    #[error("somebody else changed {0} at the same time, try again")]
    Conflict(String),

    #[error("the name or the password is wrong, or the account is locked or disabled")]
    SignInFailed,
    #[error("too many attempts, try again later")]
    TooManyAttempts { after: Duration },
    #[error("the password {0}")]
    WeakPassword(String),
    #[error("the refresh token is not valid; sign in again")]
    RefreshTokenInvalid,
    #[error("the API key is not valid")]
    ApiKeyInvalid,
    #[error("the first account has been made already")]
    SetupDone,
    #[error("the setup secret is wrong; the service prints a link with a new one when it starts")]
    SetupSecretWrong,
    #[error("this is the last enabled account with the scope `admin`")]
    LastAdmin,
    #[error("the group has members")]
    GroupInUse,

    #[error("the key `{0}` is disabled; undelete it first")]
    KeyDisabled(String),
    #[error("a key of type {key_type} cannot {operation}")]
    KeyType { key_type: &'static str, operation: &'static str },
    #[error("version {0} of the key is not there, or is below the key's minimum")]
    KeyVersion(u32),
    #[error("this version of the key has encrypted 2^32 messages; rotate the key")]
    KeyExhausted,
    #[error("the key does not allow deletion; set `deletion_allowed` first")]
    DeletionNotAllowed,
    #[error("the key is not exportable")]
    NotExportable,
    #[error("`{0}` cannot be taken back")]
    OneWay(&'static str),
    #[error("the first certificate is for another public key than this version's")]
    CertificateMismatch,
    #[error("the key is too weak: {0}")]
    WeakKey(String),
    #[error("could not decrypt")]
    DecryptionFailed,
    #[error("the backup cannot be read: it is damaged, or the password is wrong")]
    BackupUnreadable,
    #[error("the store is not empty")]
    StoreNotEmpty,
    #[error("{0} is broken; set `allow_unsafe` where it is only a checksum")]
    UnsafeAlgorithm(&'static str),

    #[error(
        "this replica is sealed: bring the shares of its key with `patchbay seal unseal` or in the console"
    )]
    Sealed,
    #[error("the seal of this store is no shared one: it is opened by a file or a passphrase")]
    SealNotShared,
    #[error("the seal has been initialized already")]
    AlreadyInitialized,
    #[error("the share is refused: {0}")]
    ShareInvalid(String),
    #[error("these shares together do not give the key: at least one is wrong; bring all of them again")]
    SharesWrong,
    #[error("no rekey is under way; begin one")]
    NoRekey,

    #[error("{0}")]
    AddressForbidden(String),

    #[error("too much is being computed already, try again")]
    Busy,
    #[error("the store does not answer, try again")]
    Unavailable,
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A field that is wrong.
    pub fn bad(field: &'static str, problem: impl Into<String>) -> Self {
        Self::BadRequest { field, problem: problem.into() }
    }

    /// Something that must not happen.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Stable word, as in `ErrorInfo` and in the audit log.
    pub fn reason(&self) -> &'static str {
        self.code().reason
    }
}

impl From<BackplaneError> for Error {
    fn from(error: BackplaneError) -> Self {
        match error {
            BackplaneError::Unavailable(_) => Self::Unavailable,
            other => Self::internal(other),
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        let (code, reason) = match self {
            Self::BadRequest { .. } => (Code::InvalidArgument, "BAD_REQUEST"),
            Self::TooLarge { .. } => (Code::InvalidArgument, "TOO_LARGE"),
            Self::Denied(_) => (Code::PermissionDenied, "PERMISSION_DENIED"),
            Self::Escalation(_) => (Code::PermissionDenied, "ESCALATION"),
            Self::TokenMissing => (Code::Unauthenticated, "TOKEN_MISSING"),
            Self::NotFound(_) => (Code::NotFound, "NOT_FOUND"),
            Self::AlreadyExists(_) => (Code::AlreadyExists, "ALREADY_EXISTS"),
            Self::Conflict(_) => (Code::Aborted, "CONFLICT"),
            Self::SignInFailed => (Code::Unauthenticated, "SIGN_IN_FAILED"),
            Self::TooManyAttempts { .. } => (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"),
            Self::WeakPassword(_) => (Code::InvalidArgument, "WEAK_PASSWORD"),
            Self::RefreshTokenInvalid => (Code::Unauthenticated, "REFRESH_TOKEN_INVALID"),
            Self::ApiKeyInvalid => (Code::Unauthenticated, "API_KEY_INVALID"),
            Self::SetupDone => (Code::FailedPrecondition, "SETUP_DONE"),
            Self::SetupSecretWrong => (Code::Unauthenticated, "SETUP_SECRET_WRONG"),
            Self::LastAdmin => (Code::FailedPrecondition, "LAST_ADMIN"),
            Self::GroupInUse => (Code::FailedPrecondition, "GROUP_IN_USE"),
            Self::KeyDisabled(_) => (Code::FailedPrecondition, "KEY_DISABLED"),
            Self::KeyType { .. } => (Code::InvalidArgument, "KEY_TYPE"),
            Self::KeyVersion(_) => (Code::InvalidArgument, "KEY_VERSION"),
            Self::KeyExhausted => (Code::FailedPrecondition, "KEY_EXHAUSTED"),
            Self::DeletionNotAllowed => (Code::FailedPrecondition, "DELETION_NOT_ALLOWED"),
            Self::NotExportable => (Code::FailedPrecondition, "NOT_EXPORTABLE"),
            Self::OneWay(_) => (Code::FailedPrecondition, "ONE_WAY"),
            Self::CertificateMismatch => (Code::InvalidArgument, "CERTIFICATE_MISMATCH"),
            Self::WeakKey(_) => (Code::InvalidArgument, "WEAK_KEY"),
            Self::DecryptionFailed => (Code::InvalidArgument, "DECRYPTION_FAILED"),
            Self::BackupUnreadable => (Code::InvalidArgument, "BACKUP_UNREADABLE"),
            Self::StoreNotEmpty => (Code::FailedPrecondition, "STORE_NOT_EMPTY"),
            Self::UnsafeAlgorithm(_) => (Code::InvalidArgument, "UNSAFE_ALGORITHM"),
            Self::Sealed => (Code::Unavailable, "SEALED"),
            Self::SealNotShared => (Code::FailedPrecondition, "SEAL_NOT_SHARED"),
            Self::AlreadyInitialized => (Code::FailedPrecondition, "ALREADY_INITIALIZED"),
            Self::ShareInvalid(_) => (Code::InvalidArgument, "SHARE_INVALID"),
            Self::SharesWrong => (Code::InvalidArgument, "SHARES_WRONG"),
            Self::NoRekey => (Code::FailedPrecondition, "NO_REKEY"),
            Self::AddressForbidden(_) => (Code::PermissionDenied, "ADDRESS_FORBIDDEN"),
            Self::Busy => (Code::ResourceExhausted, "BUSY"),
            Self::Unavailable => (Code::Unavailable, "UNAVAILABLE"),
            Self::Internal(_) => (Code::Internal, "INTERNAL"),
        };
        ErrorCode::new(code, reason)
    }

    fn violations(&self) -> Vec<(String, String)> {
        match self {
            Self::BadRequest { field, problem } => vec![((*field).to_owned(), problem.clone())],
            Self::WeakPassword(problem) => vec![("password".to_owned(), problem.clone())],
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { after } => Some(*after),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

/// The reason of a refused call, for those in this process: the source of its [`Status`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Reason(pub(crate) &'static str);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut status = to_status("crypto-service", &error);
        status.set_source(Arc::new(Reason(error.reason())));
        status
    }
}
