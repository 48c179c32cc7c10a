//! Configuration of chat-gateway. Every limit is here, with the value that suits most.

use crate::limits::Rate;
use patchbay_chassis::{ByteSize, Problems, ServiceConfig, Span, config::Network};
use patchbay_tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// All sections of chat-gateway's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatConfig {
    /// Where clients connect.
    pub listen: Listen,
    /// Bounds on connections.
    pub connections: Connections,
    /// Bounds on what a client sends.
    pub limits: Limits,
    /// How often a client may act.
    pub rates: Rates,
    /// What rooms keep.
    pub rooms: Rooms,
    /// How messages are handed to many connections.
    pub fanout: Fanout,
    /// The door for pages that speak the classic protocol.
    pub classic: Classic,
}

/// Where clients connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address for WebSocket clients.
    pub http: SocketAddr,
    /// Addresses of proxies whose `X-Forwarded-For` is believed; a network is written `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// Origins from which signed-in browsers may connect, beside the gateway's own host: `https://chat.example.org`,
    /// or `*` for any. Guests may come from anywhere.
    pub allowed_origins: Vec<String>,
    /// TLS of that address: either two files, or `development`, or neither for plain text.
    pub tls: Tls,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: ([0, 0, 0, 0], 8765).into(),
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            tls: Tls::default(),
        }
    }
}

/// Bounds on connections.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Open connections; more get 503.
    pub max: usize,
    /// Open connections from one address; more get 503.
    pub max_per_address: usize,
    /// Open connections of one signed-in user on this replica; more are closed with 3504.
    pub max_per_user: usize,
    /// Time for the handshake and the first command, together.
    pub greeting_timeout: Span,
    /// Silence after which the client is pinged.
    pub ping_interval: Span,
    /// Silence after a ping until the connection is closed with 3012.
    pub pong_timeout: Span,
    /// Bytes that may wait for a client before it is closed with 3008.
    pub queue: ByteSize,
    /// How long a closing connection may take.
    pub close_timeout: Span,
    /// How long it may take when the client was too slow: it has to read what is on its way before it learns why.
    pub slow_close_timeout: Span,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 200_000,
            max_per_address: 20_000,
            max_per_user: 100,
            greeting_timeout: Span::seconds(10),
            ping_interval: Span::seconds(25),
            pong_timeout: Span::seconds(10),
            queue: ByteSize::mib(1),
            close_timeout: Span::seconds(5),
            slow_close_timeout: Span::seconds(60),
        }
    }
}

/// Bounds on what a client sends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A WebSocket message; larger is closed with 1009.
    pub frame: ByteSize,
    /// `data` of a publication.
    pub payload: ByteSize,
    /// Nesting of objects and arrays.
    pub json_depth: usize,
    /// Rooms of one connection.
    pub rooms: usize,
    /// Commands of one connection whose answers are being worked out.
    pub in_flight: u8,
    /// Errors in a row until the connection is closed with 3509.
    pub errors: u32,
    /// An idempotency key, in bytes.
    pub key: usize,
    /// How long an idempotency key is remembered.
    pub key_memory: Span,
    /// A display name, in bytes.
    pub name: usize,
    /// An avatar's address, in bytes.
    pub avatar: usize,
    /// Publications of one `history` page.
    pub history_page: usize,
    /// Members of one `presence` answer.
    pub presence_page: usize,
    /// Bytes of publications that one recovery may bring; more is `recovered: false`.
    pub recovery: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: ByteSize::kib(64),
            payload: ByteSize::kib(32),
            json_depth: 32,
            rooms: 128,
            in_flight: 64,
            errors: 20,
            key: 64,
            key_memory: Span::seconds(300),
            name: 64,
            avatar: 512,
            history_page: 300,
            presence_page: 1000,
            recovery: ByteSize::kib(512),
        }
    }
}

/// How often a client may act. A command over the rate is refused with error 111.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Commands of one connection.
    pub connection: Rate,
    /// Publications of one user, over all replicas.
    pub user: Rate,
    /// Publications from one address, over all replicas.
    pub address: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            connection: Rate { per_second: 50, burst: 200 },
            user: Rate { per_second: 100, burst: 500 },
            address: Rate { per_second: 1000, burst: 5000 },
        }
    }
}

/// What rooms keep.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// Name prefixes that clients cannot use; `$` never can.
    pub reserved_prefixes: Vec<String>,
    /// What holds where no pattern matches.
    pub default: RoomPolicy,
    /// Other policies; the first pattern that matches holds (`*` is any run of characters).
    pub patterns: Vec<RoomPattern>,
    /// How long a member whose replica is silent is still listed.
    pub presence_ttl: Span,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            reserved_prefixes: Vec::new(),
            default: RoomPolicy::default(),
            patterns: Vec::new(),
            presence_ttl: Span::seconds(60),
        }
    }
}

/// What a room keeps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomPolicy {
    /// Publications kept, and so the longest gap that recovery fills.
    pub history: usize,
    /// How long they are kept.
    pub history_age: Span,
    /// Whether members are listed and their comings and goings told.
    pub presence: bool,
}

impl Default for RoomPolicy {
    fn default() -> Self {
        Self { history: 1000, history_age: Span::seconds(24 * 3600), presence: true }
    }
}

/// A policy for some rooms.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomPattern {
    /// Which rooms: `team/*`.
    pub pattern: String,
    /// What they keep.
    pub policy: RoomPolicy,
}

/// How messages are handed to many connections.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fanout {
    /// Tasks among which rooms are divided; 0 is one for each processor.
    pub shards: usize,
    /// Share of its time, in percent, that a shard may spend on writing. While a pass over a large room takes long, the
    /// next one waits so that this share is kept, and carries all messages of the meantime in one write. Light rooms never wait.
    pub duty_percent: u32,
    /// Longest wait of a pass.
    pub max_wait: Span,
}

impl Default for Fanout {
    fn default() -> Self {
        Self { shards: 0, duty_percent: 25, max_wait: Span::millis(40) }
    }
}

/// The door for pages that speak the classic protocol.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Classic {
    /// Whether the door is open. It still needs guests who may publish and subscribe in its room.
    pub enabled: bool,
    /// The room behind it.
    pub room: String,
}

impl Default for Classic {
    fn default() -> Self {
        Self { enabled: true, room: "lobby".to_owned() }
    }
}

impl ServiceConfig for ChatConfig {
    fn validate(&self, problems: &mut Problems) {
        self.listen.tls.validate("listen.tls", problems);
        if self.limits.frame.0 < 1024 {
            problems.add("limits.frame", "must be at least 1KiB");
        }
        if self.limits.payload.0 >= self.limits.frame.0 {
            problems.add("limits.payload", "must be less than limits.frame");
        }
        if self.connections.queue.0 < self.limits.recovery.0 + self.limits.frame.0 {
            problems.add("connections.queue", "must hold limits.recovery and one limits.frame");
        }
        if u32::try_from(self.connections.queue.0).is_err() {
            problems.add("connections.queue", "must be less than 4GiB");
        }
        if !(1..=100).contains(&self.fanout.duty_percent) {
            problems.add("fanout.duty_percent", "must be from 1 to 100");
        }
        if crate::protocol::ids::RoomId::parse(&self.classic.room).is_none() {
            problems.add("classic.room", "is not a valid room name");
        }
        for (key, rate) in [
            ("rates.connection", self.rates.connection),
            ("rates.user", self.rates.user),
            ("rates.address", self.rates.address),
        ] {
            if rate.per_second == 0 || rate.burst == 0 {
                problems.add(key, "per_second and burst must be at least 1");
            }
        }
    }
}

impl Rooms {
    /// The policy of a room.
    pub fn policy(&self, room: &str) -> &RoomPolicy {
        let matching = self.patterns.iter().find(|entry| glob(&entry.pattern, room));
        matching.map_or(&self.default, |entry| &entry.policy)
    }
}

/// Whether `text` matches `pattern`, in which `*` is any run of characters.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else { return rest.is_empty() };
    let middle_parts = pattern.matches('*').count() - 1;
    for part in parts.take(middle_parts) {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_runs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
