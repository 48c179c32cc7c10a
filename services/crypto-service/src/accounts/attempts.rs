//! How often somebody may guess: attempts in a minute from an address and on a name, and a lock after wrong passwords in a row. Counted on
//! the backplane, so that it holds over all replicas, and for names that do not exist as for those that do, so that nothing is told.

use crate::{config, error::Error};
use bytes::Bytes;
use patchbay_backplane::{Name, SharedBackplane, Version};
use patchbay_chassis::Clock;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Window in which attempts are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// An account is locked this long at most.
const LONGEST_LOCK: Duration = Duration::from_hours(24);

/// How long wrong passwords are remembered after a lock, or after the last one.
const MEMORY: Duration = Duration::from_hours(24);

/// Tries to count a wrong password while others count theirs.
const TRIES: usize = 16;

/// Counts attempts.
pub(crate) struct Attempts {
    backplane: SharedBackplane,
    clock: Clock,
    lock_after: u32,
    lock_for: Duration,
    per_minute: u64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt<'a> {
    /// Sign-ins and the like from a client's address.
    Address(&'a str),
    /// Sign-ins on a name.
    Name(&'a str),
    /// Wrong credentials from a client of a gateway.
    CredentialAddress(&'a str),
    /// Wrong credentials under a protocol's user name.
    Credential(&'a str),
}

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Failures {
    count: u32,
    /// Milliseconds since 1970; 0 is not locked.
    locked_until: u64,
}

impl Attempts {
    pub(crate) fn new(config: &config::Accounts, backplane: SharedBackplane, clock: Clock) -> Self {
        Self {
            backplane,
            clock,
            lock_after: config.lock_after,
            lock_for: config.lock_for.duration(),
            per_minute: u64::from(config.attempts_per_minute),
        }
    }

    /// Counts an attempt, and refuses it when there were too many.
    pub(crate) async fn admit(&self, attempt: Attempt<'_>) -> Result<(), Error> {
        self.within(attempt, 1).await
    }

    /// Refuses an attempt when there were too many, and counts nothing.
    pub(crate) async fn check(&self, attempt: Attempt<'_>) -> Result<(), Error> {
        self.within(attempt, 0).await
    }

    /// Counts what has failed.
    pub(crate) async fn count(&self, attempt: Attempt<'_>) -> Result<(), Error> {
        self.backplane.add(&attempt.counter(), 1, WINDOW).await?;
        Ok(())
    }

    /// Until when a name is locked, in milliseconds since 1970.
    pub(crate) async fn locked_until(&self, name: &str) -> Result<Option<u64>, Error> {
        let failures = self.read(name).await?.0;
        Ok((failures.locked_until > self.clock.now_millis()).then_some(failures.locked_until))
    }

    /// Counts a wrong password; returns until when the name is locked now.
    pub(crate) async fn failed(&self, name: &str) -> Result<Option<u64>, Error> {
        for _ in 0..TRIES {
            let (before, version) = self.read(name).await?;
            let count = before.count.saturating_add(1);
            let lock = lock_of(count, self.lock_after, self.lock_for);
            let locked_until = lock.map_or(0, |lock| self.clock.now_millis() + millis(lock));
            let after = Failures { count, locked_until };
            let value: Bytes = serde_json::to_vec(&after).map_err(Error::internal)?.into();
            let ttl = MEMORY + lock.unwrap_or_default();
            let written = self.backplane.compare_and_set(&key(name), version, value, Some(ttl)).await?;
            if written.is_some() {
                return Ok(lock.map(|_| locked_until));
            }
        }
        Err(Error::Busy)
    }

    /// Forgets the wrong passwords, and lifts a lock.
    pub(crate) async fn forgive(&self, name: &str) -> Result<(), Error> {
        self.backplane.delete(&key(name)).await?;
        Ok(())
    }

    async fn within(&self, attempt: Attempt<'_>, amount: u64) -> Result<(), Error> {
        let sum = self.backplane.add(&attempt.counter(), amount, WINDOW).await?;
        // An attempt that is not counted yet must leave room for itself.
        if sum + (1 - amount.min(1)) > self.per_minute {
            Err(Error::TooManyAttempts { after: WINDOW })
        } else {
            Ok(())
        }
    }

    async fn read(&self, name: &str) -> Result<(Failures, Option<Version>), Error> {
        let Some(entry) = self.backplane.get(&key(name)).await? else {
            return Ok((Failures::default(), None));
        };
        Ok((serde_json::from_slice(&entry.value).map_err(Error::internal)?, Some(entry.version)))
    }
}

impl Attempt<'_> {
    fn counter(self) -> Name {
        let id = match self {
            Self::Address(address) => format!("address/{}", network(address)),
            Self::Name(name) => format!("name/{name}"),
            Self::CredentialAddress(address) => format!("credential-address/{}", network(address)),
            Self::Credential(username) => format!("credential/{username}"),
        };
        Name::new("crypto", "attempts", id)
    }
}

/// What attempts are counted for: of IPv6 the first 64 bits, because whoever has one such address has all that begin so.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// How long a name is locked by its latest wrong password in a row: doubles from the one that locks.
fn lock_of(count: u32, lock_after: u32, lock_for: Duration) -> Option<Duration> {
    let over = count.checked_sub(lock_after)?;
    let doubled = 2_u32.checked_pow(over).and_then(|factor| lock_for.checked_mul(factor));
    Some(doubled.unwrap_or(LONGEST_LOCK).min(LONGEST_LOCK))
}

fn key(name: &str) -> Name {
    Name::new("crypto", "failures", name)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_ipv6_is_counted_by_its_network() {
        let one = Attempt::Address("2001:db8:1:2:aaaa::1").counter();
        assert_eq!(one, Attempt::Address("2001:db8:1:2:bbbb::2").counter());
        assert_ne!(one, Attempt::Address("2001:db8:1:3:aaaa::1").counter());
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!([network("192.0.2.7"), network("unknown")], ["192.0.2.7", "unknown"]);
    }

    #[test]
    fn a_lock_doubles_up_to_a_day() {
        let lock = |count| lock_of(count, 3, Duration::from_mins(1)).map(|lock| lock.as_secs());
        assert_eq!([1, 2, 3, 4, 5, 6].map(lock), [None, None, Some(60), Some(120), Some(240), Some(480)]);
        assert_eq!([14, 40, u32::MAX].map(lock), [Some(24 * 3600); 3]);
    }
}
