//! The `[auth]` section of every service's configuration.

use crate::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Whose tokens are believed, and what those without one may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// File with the public keys (JSON Web Key Set) whose tokens are believed. Read again when it changes.
    pub jwks_file: Option<PathBuf>,
    /// File with this service's own Ed25519 key (PKCS#8 PEM), with which it signs its calls to other services.
    pub service_key_file: Option<PathBuf>,
    /// Longest lifetime of a token that is believed, whatever its `exp` says.
    #[serde(with = "human_duration")]
    #[schemars(with = "String")]
    pub max_ttl: Duration,
    /// What those without a token may do.
    pub guest: GuestConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            jwks_file: None,
            service_key_file: None,
            max_ttl: Duration::from_hours(24),
            guest: GuestConfig::default(),
        }
    }
}

/// The guest policy: off unless switched on, and then only what is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuestConfig {
    /// Whether anybody may come in without a token.
    pub enabled: bool,
    /// What they may do.
    pub scopes: Vec<Scope>,
}

/// Durations as people write them: `15m`, `24h`.
mod human_duration {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(D::Error::custom)
    }
}
