//! Key-value entries, counters and marks.

use super::{
    RedisBackplane,
    command::{COUNT, Command, RAISE, SET, parse},
    keys::{self, Ending},
};
use crate::{
    Answer, BackplaneError, Counters, KeyValue, MAX_MARKS, Marks, Name, Raised, Version, Versioned,
    clock::millis,
};
use bytes::Bytes;
use futures_util::FutureExt;
use std::{collections::BTreeMap, time::Duration};

impl KeyValue for RedisBackplane {
    fn get(&self, key: &Name) -> Answer<Option<Versioned>> {
        let command = Command::plain("HMGET").key(keys::key(key, Ending::Value)).arg("v").arg("d");
        self.link.call(command, |reply| {
            let (version, value): (Option<u64>, Option<Bytes>) = parse(reply)?;
            Ok(version.zip(value).map(|(version, value)| Versioned { value, version: Version(version) }))
        })
    }

    fn set(&self, key: &Name, value: Bytes, ttl: Option<Duration>) -> Answer<Version> {
        let written = self.write(key, value, ttl, "any".into());
        let never_refused = || BackplaneError::Refused("an unconditional write was refused".into());
        async move { written.await?.ok_or_else(never_refused) }.boxed()
    }

    fn compare_and_set(
        &self,
        key: &Name,
        expected: Option<Version>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<Option<Version>> {
        let expected = expected.map_or("none".into(), |version| version.0.to_string());
        self.write(key, value, ttl, expected)
    }

    fn delete(&self, key: &Name) -> Answer<bool> {
        let command = Command::plain("DEL").key(keys::key(key, Ending::Value));
        self.link.call(command, parse)
    }
}

impl RedisBackplane {
    fn write(
        &self,
        key: &Name,
        value: Bytes,
        ttl: Option<Duration>,
        compare: String,
    ) -> Answer<Option<Version>> {
        let command = Command::script(&SET)
            .key(keys::key(key, Ending::Value))
            .arg(value)
            .arg(ttl.map_or_else(String::new, |ttl| millis(ttl).to_string()))
            .arg(compare);
        self.link.call(command, |reply| Ok(parse::<Option<u64>>(reply)?.map(Version)))
    }
}

impl Counters for RedisBackplane {
    fn add(&self, counter: &Name, amount: u64, window: Duration) -> Answer<u64> {
        let command = Command::script(&COUNT)
            .key(keys::key(counter, Ending::Counter))
            .arg(amount)
            .arg(millis(window).max(1));
        self.link.call(command, parse)
    }
}

impl Marks for RedisBackplane {
    fn raise(&self, map: &Name, field: &str, value: u64, ttl: Duration) -> Answer<Raised> {
        let command = Command::script(&RAISE)
            .key(keys::key(map, Ending::Marks))
            .arg(field)
            .arg(value)
            .arg(millis(ttl).max(1))
            .arg(MAX_MARKS as u64);
        self.link.call(command, |reply| {
            let (value, raised): (u64, u8) = parse(reply)?;
            Ok(Raised { value, raised: raised == 1 })
        })
    }

    fn marks(&self, map: &Name, limit: usize) -> Answer<Vec<(String, u64)>> {
        let command = Command::plain("HGETALL").key(keys::key(map, Ending::Marks));
        self.link.call(command, move |reply| {
            let fields: BTreeMap<String, u64> = parse(reply)?;
            Ok(fields.into_iter().take(limit).collect())
        })
    }
}
