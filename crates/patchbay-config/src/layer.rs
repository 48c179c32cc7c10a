//! Places that values come from, each a layer over the one before.

use crate::load::{ConfigError, Problem};
pub use figment::value::{Dict, Value};

use figment::{Metadata, Profile, Provider, util::nest, value::Map};
use std::path::Path;

/// Values of one source.
#[derive(Clone, Debug)]
pub struct Layer {
    source: String,
    values: Dict,
}

impl Layer {
    /// Starts an empty layer; `source` is what `config show` says of its values.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), values: Dict::new() }
    }

    /// Sets a value by its key, such as `auth.guest.enabled`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        merge(&mut self.values, nested(key, value.into()));
        self
    }

    /// Reads a TOML file.
    pub fn file(path: &Path) -> Result<Self, ConfigError> {
        let source = path.display().to_string();
        let values = std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| toml::from_str(&text).map_err(|error: toml::de::Error| error.to_string()));
        match values {
            Ok(values) => Ok(Self { source, values }),
            Err(message) => Err(ConfigError(vec![Problem { source, key: String::new(), message }])),
        }
    }

    /// Reads one environment variable; `None` when it does not name a key. Names without `__` are taken only
    /// when they are one of `bare_keys`, because container runtimes inject variables such as `PATCHBAY_PORT`.
    pub fn variable(name: &str, text: &str, services: &[&str], bare_keys: &[String]) -> Option<Self> {
        let key = name.strip_prefix("PATCHBAY_")?.to_ascii_lowercase();
        if !key.contains("__") && !bare_keys.contains(&key) {
            return None;
        }
        let (head, rest) = key.split_once("__").unwrap_or((&key, ""));
        let service = services.iter().find(|service| service.replace('-', "_") == head);
        let head = service.map_or(head, |service| *service);
        let path = format!("{head}.{}", rest.replace("__", "."));
        // Infallible: what is no other literal is a string.
        let value: Value = text.parse().unwrap_or_else(|never| match never {});
        let values = nested(path.trim_end_matches('.'), value);
        Some(Self { source: format!("environment variable {name}"), values })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Puts `over` on top of `base`, table by table.
pub(crate) fn merge(base: &mut Dict, over: Dict) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Dict(_, below)), Value::Dict(_, above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn nested(key: &str, value: Value) -> Dict {
    match nest(key, value) {
        Value::Dict(_, dict) => dict,
        _ => Dict::new(),
    }
}
