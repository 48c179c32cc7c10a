//! Turning layers into typed sections, with every problem found on the way and the source of each.

use crate::layer::{Layer, merge};
use figment::{
    Figment,
    error::Kind,
    value::{Dict, Value},
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;

/// Problems that a `validate` found, by key.
#[derive(Debug, Default)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Adds one: the key within the section that is validated, and what is wrong with its value.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push((key.into(), message.into()));
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and messages, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, message)| (key.as_str(), message.as_str()))
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, environment variable, flag or `default`.
    pub source: String,
    /// Full key; empty when the whole source is bad.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a problem")?,
            count => write!(f, "the configuration has {count} problems")?,
        }
        for Problem { source, key, message } in &self.0 {
            let separator = if key.is_empty() { "" } else { ": " };
            write!(f, "\n  {source}: {key}{separator}{message}")?;
        }
        Ok(())
    }
}

/// All layers merged, the problems found so far, and what the values amount to with their defaults.
pub struct Loader {
    figment: Figment,
    given: Dict,
    pub(crate) effective: Dict,
    problems: Vec<Problem>,
}

impl Loader {
    /// Merges layers, the strongest last.
    pub fn new(layers: Vec<Layer>) -> Self {
        let figment = layers.into_iter().fold(Figment::new(), |merged, layer| merged.merge(layer));
        let given = figment.extract().unwrap_or_default();
        Self { figment, given, effective: Dict::new(), problems: Vec::new() }
    }

    /// Takes the given top-level values of some keys; what nobody takes is unknown.
    pub fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Dict {
        let given = std::mem::take(&mut self.given);
        let (taken, left) = given.into_iter().partition(|(key, _)| wanted(key));
        self.given = left;
        taken
    }

    /// Takes a whole table; a value that is no table is left, and so becomes a problem.
    pub fn take_table(&mut self, name: &str) -> Dict {
        match self.given.remove(name) {
            Some(Value::Dict(_, table)) => table,
            Some(other) => {
                self.given.insert(name.to_owned(), other);
                Dict::new()
            }
            None => Dict::new(),
        }
    }

    /// Reads a typed section over its defaults; `prefix` is where it stands (`""`, or `chat-gateway.`).
    pub fn section<T>(&mut self, prefix: &str, defaults: &T, given: Dict) -> Option<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let base = table_of(defaults);
        let whole = over(&base, given);
        let read = Value::from(whole.clone()).deserialize::<T>();
        let read = match read {
            Ok(section) => Some(section),
            Err(error) => self.explain(prefix, &base, &whole, &error),
        };
        merge(table_at(&mut self.effective, prefix), whole);
        read
    }

    /// Adds what a `validate` found under a prefix.
    pub fn validated(&mut self, prefix: &str, problems: &Problems) {
        for (key, message) in problems.iter() {
            self.problem(format!("{prefix}{key}"), message.to_owned());
        }
    }

    /// Adds everything that nobody took.
    pub fn leftovers(&mut self, expected: &[String]) {
        let keys: Vec<String> = self.given.keys().cloned().collect();
        for key in keys {
            self.problem(key, format!("unknown section, expected one of: {}", expected.join(", ")));
        }
    }

    /// Adds a problem with a flag that is no configuration value.
    pub fn flag_problem(&mut self, flag: &str, message: String) {
        self.problems.push(Problem { source: "command line".to_owned(), key: flag.to_owned(), message });
    }

    /// Ends the reading.
    pub fn finish(&mut self) -> Result<(), ConfigError> {
        let problems = std::mem::take(&mut self.problems);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems)) }
    }

    /// Where the value of a key came from.
    pub fn source(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(metadata) = self.figment.find_metadata(key) {
                return metadata.name.to_string();
            }
            match key.rsplit_once('.') {
                Some((parent, _)) if self.figment.contains(parent) && self.is_leaf(parent) => key = parent,
                _ => return "default".to_owned(),
            }
        }
    }

    fn problem(&mut self, key: String, message: String) {
        self.problems.push(Problem { source: self.source(&key), key, message });
    }

    fn is_leaf(&self, key: &str) -> bool {
        !matches!(self.figment.find_value(key), Ok(Value::Dict(..)))
    }

    /// Serde stops at the first mistake, so each value is tried alone over the defaults. Returns the section without
    /// the values that are wrong, so that the others are validated all the same.
    fn explain<T>(&mut self, prefix: &str, base: &Dict, whole: &Dict, error: &figment::Error) -> Option<T>
    where
        T: DeserializeOwned,
    {
        let before = self.problems.len();
        let mut good = base.clone();
        for (path, value) in leaves(whole) {
            let alone = single(&path, value);
            match Value::from(over(base, alone.clone())).deserialize::<T>() {
                Ok(_) => merge(&mut good, alone),
                Err(error) => self.problem(format!("{prefix}{}", path.join(".")), message(&error)),
            }
        }
        if self.problems.len() == before {
            // Only wrong together, such as a table that lacks a field.
            self.problem(format!("{prefix}{}", error.path.join(".")), message(error));
        }
        Value::from(good).deserialize().ok()
    }
}

fn message(error: &figment::Error) -> String {
    match &error.kind {
        Kind::UnknownField(_, expected) => format!("unknown key, expected one of: {}", expected.join(", ")),
        kind => kind.to_string(),
    }
}

/// `given` on top of `base`.
fn over(base: &Dict, given: Dict) -> Dict {
    let mut whole = base.clone();
    merge(&mut whole, given);
    whole
}

/// A section as a table.
pub fn table_of<T: Serialize>(section: &T) -> Dict {
    Value::serialize(section).ok().and_then(Value::into_dict).unwrap_or_default()
}

/// Values of a table with the path of each; arrays count as values.
pub(crate) fn leaves(table: &Dict) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => {
                let below = leaves(inner).into_iter();
                found.extend(below.map(|(path, value)| ([vec![key.clone()], path].concat(), value)));
            }
            value => found.push((vec![key.clone()], value.clone())),
        }
    }
    found
}

fn single(path: &[String], value: Value) -> Dict {
    let nested = path.iter().rev().fold(value, |value, key| Dict::from([(key.clone(), value)]).into());
    nested.into_dict().unwrap_or_default()
}

/// The table that a prefix such as `chat-gateway.` names, made where there is none.
fn table_at<'a>(top: &'a mut Dict, prefix: &str) -> &'a mut Dict {
    let name = prefix.trim_end_matches('.');
    if name.is_empty() {
        return top;
    }
    let slot = top.entry(name.to_owned()).or_insert_with(|| Dict::new().into());
    if !matches!(slot, Value::Dict(..)) {
        *slot = Dict::new().into();
    }
    match slot {
        Value::Dict(_, table) => table,
        _ => unreachable!("made a table above"),
    }
}
