//! The decision: which addresses may be reached, by the configuration.

use crate::{
    address::{AddressKind, kind_of, leads_to},
    config::{EgressConfig, Private},
};
use std::{net::IpAddr, sync::Arc};

/// What may be reached. Clones share it.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Arc<Rules>,
}

#[derive(Debug)]
enum Rules {
    /// Everything: for a program on the operator's own machine, which may go where he may.
    Open,
    Guarded {
        config: EgressConfig,
        section: &'static str,
    },
}

/// Why an address may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is of this kind, and no network in `allow` has it.
    Kind(AddressKind),
    /// A network in `deny` has it.
    Denied,
}

impl Guard {
    /// Makes one from a section of the configuration; `section` is its full name, such as `tls_probe.egress`, which errors tell.
    pub fn new(config: &EgressConfig, section: &'static str) -> Self {
        Self { rules: Arc::new(Rules::Guarded { config: config.clone(), section }) }
    }

    /// Makes one that refuses nothing: for the command line on the operator's own machine, never for a service.
    pub fn open() -> Self {
        Self { rules: Arc::new(Rules::Open) }
    }

    /// Whether an address may be reached.
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        self.check(address).is_ok()
    }

    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let Rules::Guarded { config, .. } = &*self.rules else { return Ok(()) };
        // What is denied is denied in every form; what is allowed is allowed as it is written.
        let is_denied = |address| config.deny.iter().any(|network| network.contains(address));
        if is_denied(address) || leads_to(address).any(|inner| is_denied(inner.into())) {
            return Err(Refusal::Denied);
        }
        if config.allow.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        match kind_of(address) {
            AddressKind::Public => Ok(()),
            AddressKind::Private if config.private == Private::Allow => Ok(()),
            kind => Err(Refusal::Kind(kind)),
        }
    }

    /// What to do about a refusal, in words.
    pub(crate) fn advice(&self, refusal: Refusal, address: IpAddr) -> String {
        let section = match &*self.rules {
            Rules::Open => "",
            Rules::Guarded { section, .. } => section,
        };
        match refusal {
            Refusal::Denied => format!("{address} is in a network of `{section}.deny`"),
            Refusal::Kind(kind) => {
                format!("{address} is {kind}; an operator may add it to `{section}.allow`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str], deny: &[&str], private: Private) -> Guard {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(&EgressConfig { allow: networks(allow), deny: networks(deny), private }, "test.egress")
    }

    fn allowed(guard: &Guard, address: &str) -> bool {
        guard.is_allowed(address.parse().unwrap())
    }

    #[test]
    fn only_the_open_internet_is_reached_by_default() {
        let guard = guard(&[], &[], Private::Refuse);
        assert!(allowed(&guard, "1.1.1.1") && allowed(&guard, "2606:4700::1111"));
        for address in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "fd00::1",
            "169.254.169.254",
            "::1",
            "0.0.0.0",
            "64:ff9b::7f00:1",
        ] {
            assert!(!allowed(&guard, address), "{address}");
        }
    }

    #[test]
    fn allow_opens_a_network_and_deny_wins_over_it() {
        let guard =
            guard(&["127.0.0.0/8", "fd00::/8"], &["127.0.0.2", "1.0.0.0/8", "fd00::1"], Private::Refuse);
        assert!(
            allowed(&guard, "127.0.0.1") && allowed(&guard, "::ffff:127.0.0.1") && allowed(&guard, "fd00::2")
        );
        for address in ["127.0.0.2", "::ffff:127.0.0.2", "1.1.1.1", "::ffff:1.1.1.1", "fd00::1", "10.0.0.1"] {
            assert!(!allowed(&guard, address), "{address}");
        }
    }

    #[test]
    fn a_denied_network_is_denied_in_its_mapped_form_too() {
        let guard = guard(&[], &["::ffff:1.1.1.0/120"], Private::Refuse);
        assert!(
            !allowed(&guard, "1.1.1.1") && !allowed(&guard, "::ffff:1.1.1.1") && allowed(&guard, "1.1.2.1")
        );
    }

    #[test]
    fn private_networks_are_opened_without_metadata_and_loopback() {
        let guard = guard(&[], &[], Private::Allow);
        assert!(allowed(&guard, "192.168.1.9") && allowed(&guard, "fd12::1"));
        for address in ["127.0.0.1", "169.254.169.254", "fd00:ec2::254", "fe80::1", "100.64.0.1"] {
            assert!(!allowed(&guard, address), "{address}");
        }
    }

    #[test]
    fn deny_reaches_addresses_within_addresses() {
        let guard = guard(&[], &["1.0.0.0/8"], Private::Refuse);
        for address in [
            "64:ff9b::101:101",
            "2002:101:101::1",
            "::1.1.1.1",
            "2002:101:101::5efe:8.8.8.8",
            "2002:808:808::5efe:1.1.1.1",
        ] {
            assert!(!allowed(&guard, address), "{address}");
        }
    }

    #[test]
    fn an_open_guard_refuses_nothing() {
        assert!(allowed(&Guard::open(), "127.0.0.1") && allowed(&Guard::open(), "169.254.169.254"));
    }
}
