//! Commands before they are sent: some arguments are only known to the connection that sends them.

use super::session::Facts;
use crate::BackplaneError;
use ::redis::{Cmd, ToRedisArgs, cmd};
use bytes::Bytes;
use std::sync::LazyLock;

/// A Lua script and its hash.
pub(super) struct Script {
    pub(super) code: String,
    pub(super) hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let hash = ::redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }
}

macro_rules! scripts {
    ($($name:ident = [$($file:literal),+];)+) => {
        $(
            pub(super) static $name: LazyLock<Script> =
                LazyLock::new(|| Script::new(&[$(include_str!(concat!("scripts/", $file))),+]));
        )+

        /// All scripts, to be loaded on every connection.
        pub(super) fn all_scripts() -> Vec<&'static Script> {
            vec![$(&*$name),+]
        }
    };
}

scripts! {
    APPEND = ["stream.lua", "append.lua"];
    READ = ["stream.lua", "read.lua"];
    REMOVE = ["stream.lua", "remove.lua"];
    JOIN = ["presence.lua", "join.lua"];
    LEAVE = ["presence.lua", "leave.lua"];
    MEMBERS = ["presence.lua", "members.lua"];
    STATS = ["presence.lua", "stats.lua"];
    REAP = ["presence.lua", "reap.lua"];
    SET = ["set.lua"];
    ACQUIRE = ["acquire.lua"];
    HOLD = ["hold.lua"];
    COUNT = ["count.lua"];
    RAISE = ["raise.lua"];
    BEAT = ["nodes.lua", "beat.lua"];
    ALIVE = ["nodes.lua", "alive.lua"];
    FORGET = ["nodes.lua", "forget.lua"];
    DEAD = ["nodes.lua", "dead.lua"];
    COMMIT = ["table.lua", "commit.lua"];
    ROWS = ["table.lua", "rows.lua"];
    SCAN = ["table.lua", "scan.lua"];
    REVISION = ["table.lua", "revision.lua"];
}

/// One argument.
pub(super) enum Arg {
    Bytes(Bytes),
    Text(String),
    Number(u64),
    /// The run of Redis whose loss a stream must notice.
    Run,
    /// Why the server may lose what it acknowledges; empty where it does not.
    Doubt,
    /// `PUBLISH`, or `SPUBLISH` where Redis is a cluster.
    Publish,
    /// Redis time since which the connection stands, in milliseconds.
    Since,
}

/// A command that waits for a connection.
pub(super) struct Command {
    verb: Verb,
    keys: Vec<String>,
    args: Vec<Arg>,
}

enum Verb {
    Plain(&'static str),
    Publish,
    Script(&'static Script),
}

impl Command {
    pub(super) fn plain(verb: &'static str) -> Self {
        Self { verb: Verb::Plain(verb), keys: Vec::new(), args: Vec::new() }
    }

    pub(super) fn publish() -> Self {
        Self { verb: Verb::Publish, keys: Vec::new(), args: Vec::new() }
    }

    pub(super) fn script(script: &'static Script) -> Self {
        Self { verb: Verb::Script(script), keys: Vec::new(), args: Vec::new() }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys.extend(keys);
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The command as this connection sends it.
    pub(super) fn build(&self, facts: &Facts) -> Cmd {
        let mut built = match self.verb {
            Verb::Plain(verb) => cmd(verb),
            Verb::Publish => cmd(facts.publish()),
            Verb::Script(script) => {
                let mut evalsha = cmd("EVALSHA");
                evalsha.arg(&script.hash).arg(self.keys.len());
                evalsha
            }
        };
        for key in &self.keys {
            built.arg(key);
        }
        for arg in &self.args {
            match arg {
                Arg::Bytes(bytes) => built.arg(&bytes[..]),
                Arg::Text(text) => built.arg(text),
                Arg::Number(number) => built.arg(*number),
                Arg::Run => built.arg(&facts.run),
                Arg::Doubt => built.arg(&facts.doubt),
                Arg::Publish => built.arg(facts.publish()),
                Arg::Since => built.arg(facts.since),
            };
        }
        built
    }
}

impl From<Bytes> for Arg {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Reads an answer of a known shape.
pub(super) fn parse<T: ::redis::FromRedisValue>(value: ::redis::Value) -> Result<T, BackplaneError> {
    ::redis::from_redis_value(value).map_err(|error| BackplaneError::Refused(error.to_string()))
}

/// A pipeline of one-argument commands.
pub(super) fn pipeline<T: ToRedisArgs>(verb: &str, args: impl IntoIterator<Item = T>) -> ::redis::Pipeline {
    let mut pipeline = ::redis::Pipeline::new();
    for arg in args {
        pipeline.cmd(verb).arg(arg);
    }
    pipeline
}
