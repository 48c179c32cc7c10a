//! Why nothing came, in words for the user who looks at the camera. Addresses are told by their host at most.

use crate::{failure, tls::TlsError};
use patchbay_egress::{EgressError, HostError};
use patchbay_media::hub::{Reason, SourceError};

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Neither `http` nor `https`.
    #[error("an address that begins with `{0}:` cannot be fetched here; only http:// and https:// can")]
    Scheme(String),
    /// A login stands in the address.
    #[error("the address holds a login; put the user and the password in their own fields")]
    LoginInAddress,
    /// The host cannot be read.
    #[error("the host in the address cannot be read: {0}")]
    Host(#[from] HostError),
    /// It has none.
    #[error("the address has no host")]
    NoHost,
    /// Not reached.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Connected, and nothing came in time.
    #[error("{host} accepted the connection and did not answer within {seconds} s")]
    NoAnswer {
        /// The host.
        host: String,
        /// How long it had.
        seconds: u64,
    },
    /// The answer is not HTTP, or its head is beyond the limits.
    #[error("what {host} answers is not HTTP as it should be ({reason}): is the port the right one?")]
    Malformed {
        /// The host.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// It stopped in the middle.
    #[error("the host has sent nothing for {0} s")]
    Stalled(u64),
    /// The connection broke.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// A login is needed, and there is none.
    #[error("{0} asks for a login: put in the user and the password")]
    LoginNeeded(String),
    /// It refused the login.
    #[error("{0} does not accept the user or the password")]
    LoginRefused(String),
    /// It wants a kind of login that is not known.
    #[error("{host} asks for a kind of login that cannot be done ({reason}); set it to Digest or Basic")]
    LoginUnknown {
        /// The host.
        host: String,
        /// What it asked for.
        reason: String,
    },
    /// It wants a login that could be read on the way.
    #[error(
        "{0} asks for a login that could be read on the way (Basic, without encryption): set it to Digest, or use its https:// address"
    )]
    LoginInClear(String),
    /// Another host, which was not in the address, wants one.
    #[error(
        "the address leads to {0}, which asks for a login; logins are sent to the host of the address only: use that address itself"
    )]
    LoginElsewhere(String),
    /// Forbidden.
    #[error("{0} answers 403: the user may not see this")]
    NotAllowed(String),
    /// Nothing there.
    #[error("{host} has nothing under this path (it answers {status}): look at the path of the address")]
    NotFound {
        /// The host.
        host: String,
        /// 404 or 410.
        status: u16,
    },
    /// Any other status.
    #[error("{host} answers {status} instead of what was asked for")]
    Status {
        /// The host.
        host: String,
        /// What it answered.
        status: u16,
    },
    /// A redirect of what was sent, which is sent to nobody else.
    #[error(
        "{host} redirects ({status}) instead of answering, and what it was sent is not sent elsewhere: give the address that it leads to, which may be its https:// one"
    )]
    Redirected {
        /// The host.
        host: String,
        /// The status of the redirect.
        status: u16,
    },
    /// A redirect that leads nowhere.
    #[error("{0} redirects without saying where to")]
    NoLocation(String),
    /// Too many.
    #[error("the address leads on and on, more than {} times: perhaps in a circle", super::client::REDIRECTS)]
    TooManyRedirects,
    /// The source was told to stop.
    #[error("stopped")]
    Stopped,
}

impl HttpError {
    fn reason(&self) -> Reason {
        match self {
            Self::Scheme(_)
            | Self::LoginInAddress
            | Self::Host(_)
            | Self::NoHost
            | Self::Malformed { .. }
            | Self::Broken(_)
            | Self::Redirected { .. }
            | Self::NoLocation(_)
            | Self::TooManyRedirects
            | Self::Status { .. } => Reason::Protocol,
            Self::NoAnswer { .. } | Self::Stalled(_) => Reason::TimedOut,
            Self::LoginNeeded(_)
            | Self::LoginRefused(_)
            | Self::LoginUnknown { .. }
            | Self::LoginInClear(_)
            | Self::LoginElsewhere(_)
            | Self::NotAllowed(_) => Reason::Unauthorized,
            Self::NotFound { .. } => Reason::NotFound,
            Self::Egress(_) | Self::Tls(_) | Self::Stopped => Reason::Other,
        }
    }

    /// Nothing but a change of the settings helps. A login that was refused is among that: cameras lock out who tries it again and again.
    fn is_for_settings(&self) -> bool {
        matches!(
            self,
            Self::Scheme(_)
                | Self::LoginInAddress
                | Self::Host(_)
                | Self::NoHost
                | Self::LoginNeeded(_)
                | Self::LoginRefused(_)
                | Self::LoginUnknown { .. }
                | Self::LoginInClear(_)
        )
    }
}

impl From<HttpError> for SourceError {
    fn from(error: HttpError) -> Self {
        let text = error.to_string();
        let reason = error.reason();
        match error {
            HttpError::Egress(error) => failure::of_egress(&error),
            HttpError::Tls(error) => error.into(),
            error if error.is_for_settings() => Self::permanent(text).because(reason),
            _ => Self::temporary(text).because(reason),
        }
    }
}
