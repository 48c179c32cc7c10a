//! The section of a service's configuration that says what may be reached.

use patchbay_config::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be reached. Addresses of the open internet may, all others may not, unless they are named here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Networks that may be reached although they are not of the open internet, such as `["192.168.1.0/24"]`.
    pub allow: Vec<Network>,
    /// Networks that may never be reached, whatever else is said.
    pub deny: Vec<Network>,
    /// Whether private networks (`10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` and `fc00::/7`) may be reached: `refuse` or `allow`. Loopback, link-local and metadata addresses stay refused with
    /// `allow`.
    pub private: Private,
}

/// Whether private networks may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    /// They may not.
    #[default]
    Refuse,
    /// They may.
    Allow,
}
