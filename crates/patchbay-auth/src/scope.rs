//! Scopes: what a token, or the guest policy, allows.
//!
//! `<service>:<action>:<resource glob>`, such as `chat:publish:room/lobby`, or `admin`, which grants everything.
//! In a resource `*` stands for any run of characters, `/` too; `mqtt` alone uses topic filters instead. Services
//! and actions are never patterns, so that a scope can be read and found by its words.

use crate::topic_filter;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Characters in a scope at most.
const MAX_LENGTH: usize = 256;

/// `*` in a resource at most: matching costs pattern times resource, and this keeps patterns readable.
const MAX_STARS: usize = 8;

/// The service whose resources are MQTT topic filters.
const TOPIC_FILTER_SERVICE: &str = "mqtt";

/// One thing that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything.
    Admin,
    /// An action of a service on the resources that match.
    Action {
        /// Service word, such as `chat`.
        service: String,
        /// Action word, enumerated by the service.
        action: String,
        /// Glob over resources, or topic filter.
        resource: String,
    },
}

impl Scope {
    /// Tells whether this scope allows the action on the resource.
    pub fn allows(&self, service: &str, action: &str, resource: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Action { service: s, action: a, resource: pattern } => {
                s == service && a == action && resource_matches(service, pattern, resource)
            }
        }
    }

    /// Tells whether everything that `other` allows is allowed by this scope too: whoever grants a scope must hold one
    /// that covers it.
    ///
    /// Matching the other's pattern as if it were a resource, its stars as plain characters, is enough: only a star
    /// of ours can stand for a star of theirs, and it stands for whatever theirs does. Some pairs that do cover are
    /// not recognized (`*a*` and `**a`), never one that does not.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Admin => *self == Self::Admin,
            Self::Action { service, action, resource } => self.allows(service, action, resource),
        }
    }

    /// Tells whether this scope allows the action on any resource at all.
    pub fn allows_somewhere(&self, service: &str, action: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Action { service: s, action: a, .. } => s == service && a == action,
        }
    }
}

fn resource_matches(service: &str, pattern: &str, resource: &str) -> bool {
    if service == TOPIC_FILTER_SERVICE {
        return topic_filter::covers(pattern, resource);
    }
    glob_matches(pattern.as_bytes(), resource.as_bytes())
}

/// Matches greedily, and on a mismatch lets the last `*` take one byte more: never exponential.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(byte) if text.get(t) == Some(byte) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It has not the three parts.
    #[error("scope `{0}` is neither `admin` nor `<service>:<action>:<resource>`")]
    Shape(String),
    /// Service or action has a character that is not a lower-case letter, a digit, `-` or `_`.
    #[error("scope `{0}` has a service or action that is not a plain lower-case word")]
    Word(String),
    /// The resource has white space or control characters, or is no valid topic filter.
    #[error("scope `{0}` has a resource that cannot be matched")]
    Resource(String),
    /// It is longer than a scope may be, or has too many `*`.
    #[error("a scope has {MAX_LENGTH} characters and {MAX_STARS} `*` at most")]
    TooLong,
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_LENGTH || text.matches('*').count() > MAX_STARS {
            return Err(ScopeError::TooLong);
        }
        if text == "admin" {
            return Ok(Self::Admin);
        }
        let mut parts = text.splitn(3, ':');
        let (Some(service), Some(action), Some(resource)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ScopeError::Shape(text.to_owned()));
        };
        if !is_word(service) || !is_word(action) {
            return Err(ScopeError::Word(text.to_owned()));
        }
        if !is_resource(service, resource) {
            return Err(ScopeError::Resource(text.to_owned()));
        }
        Ok(Self::Action {
            service: service.to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
        })
    }
}

fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !text.is_empty() && text.bytes().all(plain)
}

/// White space is refused because scopes are separated by it in a token.
fn is_resource(service: &str, resource: &str) -> bool {
    let printable = !resource.is_empty() && !resource.chars().any(|c| c.is_whitespace() || c.is_control());
    printable && (service != TOPIC_FILTER_SERVICE || topic_filter::is_valid(resource))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Action { service, action, resource } => write!(f, "{service}:{action}:{resource}"),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl schemars::JsonSchema for Scope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`<service>:<action>:<resource glob>`, or `admin`",
            "examples": ["chat:publish:room/lobby", "admin"],
        })
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
