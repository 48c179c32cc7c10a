//! Looking a host up and connecting to it.

use crate::{guard::Guard, host::Host};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout_at},
};

/// Addresses of one name that are tried; more are left out.
const ADDRESSES: usize = 16;
/// How long one address is tried alone before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why a host was not reached.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The name has no address.
    #[error("{host} has no address ({reason}): look at how it is written, and at the name servers")]
    NameNotFound {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// None of its addresses may be reached from here.
    #[error("{host} may not be reached from here: {advice}")]
    Forbidden {
        /// The host that was asked for.
        host: String,
        /// Its first address.
        address: IpAddr,
        /// Why not, with the key of the configuration that decides.
        advice: String,
    },
    /// Nobody listens there.
    #[error("{address} refused the connection: nobody listens on port {}", address.port())]
    Refused {
        /// The address that was tried last.
        address: SocketAddr,
    },
    /// There is no way there.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        /// The address that was tried last.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// The host or address.
        host: String,
        /// The address that was tried last; none where the name servers did not answer.
        address: Option<SocketAddr>,
    },
}

impl EgressError {
    /// The address that was tried last.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Refused { address } | Self::Unreachable { address, .. } => Some(*address),
            Self::TimedOut { address, .. } => *address,
            Self::NameNotFound { .. } | Self::Forbidden { .. } => None,
        }
    }
}

impl Guard {
    /// Looks a host up and returns those of its addresses that may be reached, at least one and at most 16. Where some may not, they are left out.
    pub async fn resolve(
        &self,
        host: &Host,
        port: u16,
        within: Duration,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => look_up(name, port, Instant::now() + within).await?,
        };
        let allowed: Vec<_> =
            found.iter().copied().filter(|address| self.is_allowed(address.ip())).take(ADDRESSES).collect();
        if !allowed.is_empty() {
            return Ok(allowed);
        }
        let refused = found.iter().find_map(|address| Some((address.ip(), self.check(address.ip()).err()?)));
        Err(refused.map_or_else(
            || EgressError::NameNotFound {
                host: host.to_string(),
                reason: "there are no records".to_owned(),
            },
            |(address, refusal)| EgressError::Forbidden {
                host: host.to_string(),
                address,
                advice: self.advice(refusal, address),
            },
        ))
    }

    /// Looks a host up and connects to the first of its addresses that answers, among those that may be reached. The deadline holds for both together.
    pub async fn connect(
        &self,
        host: &Host,
        port: u16,
        within: Duration,
    ) -> Result<(TcpStream, SocketAddr), EgressError> {
        let deadline = Instant::now() + within;
        let addresses = self.resolve(host, port, within).await?;
        self.connect_to(&addresses, deadline.saturating_duration_since(Instant::now())).await
    }

    /// Connects to the first of these addresses that answers. They are checked again, so that addresses from elsewhere do no harm.
    pub async fn connect_to(
        &self,
        addresses: &[SocketAddr],
        within: Duration,
    ) -> Result<(TcpStream, SocketAddr), EgressError> {
        for address in addresses {
            self.check(address.ip()).map_err(|refusal| EgressError::Forbidden {
                host: address.to_string(),
                address: address.ip(),
                advice: self.advice(refusal, address.ip()),
            })?;
        }
        race(addresses, Instant::now() + within).await
    }
}

async fn look_up(name: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, EgressError> {
    let lookup = timeout_at(deadline, tokio::net::lookup_host((name, port))).await;
    let found = lookup.map_err(|_| EgressError::TimedOut { host: name.to_owned(), address: None })?;
    // The system does not say whether there is no such name or no name server: its words go along.
    found
        .map(Iterator::collect)
        .map_err(|error| EgressError::NameNotFound { host: name.to_owned(), reason: error.to_string() })
}

/// Tries one address after the other, each with a head start over the next; an address that fails lets the next one start at once. Dropping it closes what is under way.
async fn race(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), EgressError> {
    let mut waiting = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut failures = Vec::new();
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            last = Some(address);
            trying.push(async move {
                TcpStream::connect(address)
                    .await
                    .map(|stream| (stream, address))
                    .map_err(|error| (address, error))
            });
        }
        let next_start =
            if waiting.len() == 0 { deadline } else { (Instant::now() + HEAD_START).min(deadline) };
        tokio::select! {
            outcome = trying.next() => match outcome {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err((address, error))) => failures.push((address, error)),
                None => return Err(worst(failures, last)),
            },
            () = sleep_until(next_start) => {
                if Instant::now() >= deadline {
                    return Err(worst(failures, last));
                }
            }
        }
    }
}

/// The failure to tell: a refusal says most, for somebody answered; then what the system said last.
fn worst(mut failures: Vec<(SocketAddr, io::Error)>, last: Option<SocketAddr>) -> EgressError {
    let refused = failures.iter().find(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused);
    if let Some((address, _)) = refused {
        return EgressError::Refused { address: *address };
    }
    match failures.pop() {
        Some((address, source)) if source.kind() != io::ErrorKind::TimedOut => {
            EgressError::Unreachable { address, source }
        }
        _ => EgressError::TimedOut {
            host: last.map_or_else(|| "the host".to_owned(), |address| address.to_string()),
            address: last,
        },
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
