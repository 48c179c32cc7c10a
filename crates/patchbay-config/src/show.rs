//! The effective configuration with the source of each value, secrets left out.

use crate::load::{Loader, leaves};
use serde::Serialize;
use std::fmt;

/// One value that is in effect.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Full key.
    pub key: String,
    /// Value; secrets are `[redacted]`.
    pub value: serde_json::Value,
    /// File, environment variable, flag or `default`.
    pub source: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.source)
    }
}

/// Lists every value, ordered by key.
pub fn show(loader: &Loader) -> Vec<Shown> {
    let shown = leaves(&loader.effective).into_iter().map(|(path, value)| {
        let key = path.join(".");
        let value = serde_json::to_value(&value).unwrap_or_default();
        Shown { value: redacted(&key, value), source: loader.source(&key), key }
    });
    shown.collect()
}

/// Secrets come from files and only their paths are configured; this is for what an operator puts elsewhere.
fn redacted(key: &str, value: serde_json::Value) -> serde_json::Value {
    let name = key.rsplit('.').next().unwrap_or(key);
    let is_secret = ["password", "secret", "token", "private"].iter().any(|word| name.contains(word));
    match value {
        serde_json::Value::String(_) if is_secret && !name.ends_with("_file") => "[redacted]".into(),
        serde_json::Value::String(text) => without_credentials(text).into(),
        other => other,
    }
}

/// `redis://user:password@host` without what stands before the `@`.
fn without_credentials(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[redacted]@{host}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn secrets_are_left_out_and_paths_are_not() {
        assert_eq!(redacted("smtp.password", "hunter2".into()), "[redacted]");
        assert_eq!(redacted("backplane.password_file", "/run/secrets/redis".into()), "/run/secrets/redis");
        assert_eq!(redacted("backplane.url", "redis://:hunter2@r:6379".into()), "redis://[redacted]@r:6379");
        assert_eq!(redacted("backplane.url", "redis://r:6379".into()), "redis://r:6379");
    }
}
