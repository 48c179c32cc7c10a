//! The effective configuration with the source of each value, secrets left out.

use crate::load::{Loader, leaves};
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// One value that is in effect.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Full key.
    pub key: String,
    /// Value; secrets are `[redacted]`.
    pub value: Value,
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

/// Secrets come from files and only their paths are configured; this is for what an operator puts elsewhere, also in lists.
fn redacted(key: &str, value: Value) -> Value {
    let name = key.rsplit('.').next().unwrap_or(key);
    let is_secret = ["password", "secret", "token", "private"].iter().any(|word| name.contains(word));
    match value {
        Value::String(_) if is_secret && !name.ends_with("_file") => "[redacted]".into(),
        Value::String(text) => without_credentials(text).into(),
        Value::Array(values) => values.into_iter().map(|value| redacted(key, value)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = redacted(&name, value);
                (name, value)
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// `redis://user:password@host/path?parameters` without what stands before the `@`, and without the parameters.
fn without_credentials(text: String) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let (login, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("[redacted]@", place),
        None => ("", rest),
    };
    match place.split_once('?') {
        Some((place, _)) => format!("{scheme}://{login}{place}?[redacted]"),
        None => format!("{scheme}://{login}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;
    use serde_json::json;

    #[test]
    fn secrets_are_left_out_and_paths_are_not() {
        assert_eq!(redacted("smtp.password", "hunter2".into()), "[redacted]");
        assert_eq!(redacted("backplane.password_file", "/run/secrets/redis".into()), "/run/secrets/redis");
        assert_eq!(redacted("backplane.url", "redis://:hunter2@r:6379".into()), "redis://[redacted]@r:6379");
        assert_eq!(redacted("backplane.url", "redis://r:6379".into()), "redis://r:6379");
        let unusual = "redis://:who?is@r";
        assert!(!redacted("backplane.url", unusual.into()).to_string().contains("who"));
    }

    #[test]
    fn secrets_in_lists_are_left_out_too() {
        let cameras = json!([{ "name": "door", "url": "rtsp://r/live?user=u&password=hunter2", "login": { "password": "hunter2" } }]);
        let shown = redacted("cameras.configured", cameras);
        let login = json!({ "password": "[redacted]" });
        assert_eq!(shown, json!([{ "name": "door", "url": "rtsp://r/live?[redacted]", "login": login }]));
    }
}
