//! Configuration of crypto-service. Every limit is here, with the value that suits most.

use crate::certificates::Certificates;
use crate::tls_probe::TlsProbe;
use patchbay_chassis::{ByteSize, Problems, ServiceConfig, Span, config::Network};
use patchbay_crypto::password::Algorithm;
use patchbay_tls::Tls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// All sections of crypto-service's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CryptoConfig {
    /// Where REST clients connect.
    pub listen: Listen,
    /// The key that wraps all others.
    pub root_key: RootKey,
    /// People and programs that sign in.
    pub accounts: Accounts,
    /// Tokens and sessions.
    pub tokens: Tokens,
    /// How passwords are hashed.
    pub passwords: Passwords,
    /// Named keys.
    pub keys: Keys,
    /// Slow computations: password hashes and RSA.
    pub pool: Pool,
    /// Bounds on requests.
    pub limits: Limits,
    /// The audit log.
    pub audit: Audit,
    /// The probe of TLS servers.
    pub tls_probe: TlsProbe,
    /// Certificates that are watched.
    pub certificates: Certificates,
}

/// Where REST clients connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address for REST and for clients of Vault's Transit engine.
    pub http: SocketAddr,
    /// Addresses of proxies whose `X-Forwarded-For` is believed; a network is written `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// TLS of that address: either two files, or `development`, or neither for plain text.
    pub tls: Tls,
}

impl Default for Listen {
    fn default() -> Self {
        Self { http: ([0, 0, 0, 0], 8200).into(), trusted_proxies: Vec::new(), tls: Tls::default() }
    }
}

/// The seal: the key that wraps the keys that wrap all others. Exactly one of `file`, `passphrase_file` and `shares` must be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RootKey {
    /// File with 32 bytes: raw, in Base64 or in hexadecimal. Losing it loses everything that is stored.
    pub file: Option<PathBuf>,
    /// File with a passphrase of 12 characters at least, from which the key is made with Argon2id.
    pub passphrase_file: Option<PathBuf>,
    /// Whether people bring the key in shares: then a replica starts sealed, and refuses every call until enough of them were brought.
    pub shares: bool,
    /// Age of a new root key at which the ones before it are dropped, once nothing is wrapped by them any more.
    pub retire_after: Span,
}

impl Default for RootKey {
    fn default() -> Self {
        Self { file: None, passphrase_file: None, shares: false, retire_after: Span::seconds(600) }
    }
}

/// People and programs that sign in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Address of the console, for the one-time link with which the first account is made.
    pub console_url: String,
    /// Characters of a password at least.
    pub password_min: usize,
    /// Wrong passwords in a row until an account is locked.
    pub lock_after: u32,
    /// How long it is locked; every further wrong password in a row doubles this, up to a day.
    pub lock_for: Span,
    /// Sign-ins from one address in a minute, right or wrong, over all replicas.
    pub attempts_per_minute: u32,
    /// How long gateways may cache the answer to a credential.
    pub credential_cache: Span,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            console_url: "http://localhost:8000".to_owned(),
            password_min: 10,
            lock_after: 10,
            lock_for: Span::seconds(60),
            attempts_per_minute: 60,
            credential_cache: Span::seconds(60),
        }
    }
}

/// Tokens and sessions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// File with the issuer's Ed25519 key (PKCS#8 PEM), whose public half stands in every service's `auth.jwks_file`. It
    /// signs the set of keys that sign tokens, and tokens until the first of these does.
    pub issuer_key_file: Option<PathBuf>,
    /// Lifetime of a token; 15 minutes at most.
    pub ttl: Span,
    /// Time until a session ends that is not refreshed.
    pub refresh_ttl: Span,
    /// Time until a session ends however often it is refreshed.
    pub session_ttl: Span,
    /// Age at which a new key begins to sign.
    pub rotate_after: Span,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer_key_file: None,
            ttl: Span::seconds(15 * 60),
            refresh_ttl: Span::seconds(7 * 24 * 3600),
            session_ttl: Span::seconds(90 * 24 * 3600),
            rotate_after: Span::seconds(30 * 24 * 3600),
        }
    }
}

/// How passwords are hashed. A hash that is weaker than this is told to need a new one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    /// Memory of Argon2id.
    pub argon2_memory: ByteSize,
    /// Passes of Argon2id over its memory.
    pub argon2_passes: u32,
    /// Lanes of Argon2id.
    pub argon2_lanes: u32,
    /// Binary logarithm of bcrypt's rounds.
    pub bcrypt_cost: u32,
    /// Binary logarithm of scrypt's N; r is 8 and p is 1.
    pub scrypt_log_n: u8,
    /// Iterations of PBKDF2-HMAC-SHA256.
    pub pbkdf2_iterations: u32,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            argon2_memory: ByteSize::kib(19 * 1024),
            argon2_passes: 2,
            argon2_lanes: 1,
            bcrypt_cost: 12,
            scrypt_log_n: 17,
            pbkdf2_iterations: 600_000,
        }
    }
}

/// Named keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// How long a key that is not used stays unwrapped in memory.
    pub cache_ttl: Span,
    /// How often the store is asked whether anything has changed, for when its events are lost.
    pub poll: Span,
    /// How long keys in memory are used while the store cannot be asked; then calls are refused until it answers.
    pub stale_after: Span,
    /// Encryptions with a 96-bit nonce that a replica reserves at once; a restart wastes what is left of them.
    pub counter_block: u32,
    /// How often it is looked for keys whose `auto_rotate_period` is over.
    pub rotate_check: Span,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            cache_ttl: Span::seconds(300),
            poll: Span::seconds(2),
            stale_after: Span::seconds(30),
            counter_block: 1 << 16,
            rotate_check: Span::seconds(60),
        }
    }
}

/// Slow computations: password hashes and RSA.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// Threads for RSA, and as many for password hashes; 0 is one for each processor, less one for hashes.
    pub threads: usize,
    /// Memory of all password hashes that are computed at one time.
    pub memory: ByteSize,
    /// Jobs that may wait; more are refused with BUSY.
    pub queue: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { threads: 0, memory: ByteSize::mib(256), queue: 1024 }
    }
}

/// Bounds on requests.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Body of a REST request; a gRPC message has 4 MiB at most.
    pub body: ByteSize,
    /// Plaintext, message or ciphertext of one call or item.
    pub message: ByteSize,
    /// Items of a batch.
    pub batch: usize,
    /// Open REST connections; more wait to be accepted.
    pub connections: usize,
    /// Time for a REST request to arrive whole; of one in pieces, for each piece.
    pub request_timeout: Span,
}

impl Limits {
    /// How long the next piece of what comes in pieces is waited for.
    pub(crate) fn patience(&self) -> std::time::Duration {
        self.request_timeout.duration()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: ByteSize::mib(4),
            message: ByteSize::mib(2),
            batch: 1000,
            connections: 10_000,
            request_timeout: Span::seconds(30),
        }
    }
}

/// The audit log. What cannot be written to it is not done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// How long records are kept.
    pub keep: Span,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep: Span::seconds(400 * 24 * 3600) }
    }
}

impl ServiceConfig for CryptoConfig {
    fn validate(&self, problems: &mut Problems) {
        self.listen.tls.validate("listen.tls", problems);
        self.certificates.validate(problems);
        if self.root_key.file.is_some() && self.root_key.passphrase_file.is_some() {
            problems.add("root_key.passphrase_file", "must not be set beside root_key.file");
        }
        if self.root_key.shares && (self.root_key.file.is_some() || self.root_key.passphrase_file.is_some()) {
            problems
                .add("root_key.shares", "must not be set beside root_key.file or root_key.passphrase_file");
        }
        if self.root_key.retire_after <= self.keys.poll {
            problems.add("root_key.retire_after", "must be longer than keys.poll");
        }
        if self.tokens.ttl.duration().is_zero() || self.tokens.ttl > Span::seconds(15 * 60) {
            problems.add("tokens.ttl", "must be from 1s to 15m");
        }
        if self.tokens.refresh_ttl > self.tokens.session_ttl {
            problems.add("tokens.refresh_ttl", "must not be longer than tokens.session_ttl");
        }
        if self.accounts.password_min < 8 {
            problems.add("accounts.password_min", "must be at least 8");
        }
        if self.accounts.lock_after == 0 || self.accounts.attempts_per_minute == 0 {
            problems.add("accounts.lock_after", "and accounts.attempts_per_minute must be at least 1");
        }
        self.validate_passwords(problems);
        self.tls_probe.validate(problems);
        if self.keys.counter_block == 0 {
            problems.add("keys.counter_block", "must be at least 1");
        }
        if self.keys.poll.duration().is_zero() || self.keys.rotate_check.duration().is_zero() {
            problems.add("keys.poll", "and keys.rotate_check must be longer than nothing");
        }
        if self.keys.stale_after <= self.keys.poll {
            problems.add("keys.stale_after", "must be longer than keys.poll");
        }
        if self.limits.batch == 0 || self.limits.connections == 0 || self.pool.queue == 0 {
            problems.add("limits.batch", "limits.connections and pool.queue must be at least 1");
        }
        if self.limits.request_timeout.duration().is_zero() {
            problems.add("limits.request_timeout", "must be longer than nothing");
        }
        if self.limits.body < self.limits.message {
            problems.add("limits.body", "must not be less than limits.message");
        }
    }
}

impl CryptoConfig {
    fn validate_passwords(&self, problems: &mut Problems) {
        let passwords = &self.passwords;
        if passwords.argon2_memory < ByteSize::kib(8 * u64::from(passwords.argon2_lanes.max(1))) {
            problems.add("passwords.argon2_memory", "must be at least 8KiB for each lane");
        }
        if passwords.argon2_passes == 0 || passwords.argon2_lanes == 0 {
            problems.add("passwords.argon2_passes", "and passwords.argon2_lanes must be at least 1");
        }
        for algorithm in Algorithm::ALL {
            let parameters = crate::passwords::parameters(passwords);
            if let Err(error) = parameters.check(algorithm) {
                problems.add("passwords", format!("cannot be used: {error}"));
            }
            if parameters.memory_bytes(algorithm) > self.pool.memory.0 {
                problems
                    .add("pool.memory", format!("is too little for a hash by {algorithm:?} as configured"));
            }
        }
        if !(10..=16).contains(&passwords.bcrypt_cost) {
            problems.add("passwords.bcrypt_cost", "must be from 10 to 16");
        }
        if !(14..=20).contains(&passwords.scrypt_log_n) {
            problems.add("passwords.scrypt_log_n", "must be from 14 to 20");
        }
        if passwords.pbkdf2_iterations < 100_000 {
            problems.add("passwords.pbkdf2_iterations", "must be at least 100000");
        }
    }
}
