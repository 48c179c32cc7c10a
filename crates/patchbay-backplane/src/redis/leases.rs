//! Exclusive claims on Redis time; see `scripts/acquire.lua`.

use super::{
    RedisBackplane,
    command::{ACQUIRE, Command, HOLD, parse},
    keys::{self, Ending},
};
use crate::{Answer, FencingToken, Leases, Name, clock::millis};
use std::time::Duration;

impl Leases for RedisBackplane {
    fn acquire(&self, lease: &Name, holder: &str, ttl: Duration) -> Answer<Option<FencingToken>> {
        let command = Command::script(&ACQUIRE)
            .key(keys::key(lease, Ending::Lease))
            .key(keys::fence_key(lease))
            .arg(holder)
            .arg(millis(ttl).max(1));
        self.link.call(command, |reply| Ok(parse::<Option<u64>>(reply)?.map(FencingToken)))
    }

    fn renew(&self, lease: &Name, holder: &str, token: FencingToken, ttl: Duration) -> Answer<bool> {
        self.hold(lease, holder, token, millis(ttl).max(1).to_string())
    }

    fn release(&self, lease: &Name, holder: &str, token: FencingToken) -> Answer<bool> {
        self.hold(lease, holder, token, String::new())
    }
}

impl RedisBackplane {
    fn hold(&self, lease: &Name, holder: &str, token: FencingToken, ttl: String) -> Answer<bool> {
        let command =
            Command::script(&HOLD).key(keys::key(lease, Ending::Lease)).arg(holder).arg(token.0).arg(ttl);
        self.link.call(command, parse)
    }
}
