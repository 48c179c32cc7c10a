//! The reference of a service's configuration, generated from its types: a page, and an annotated TOML file.

use crate::load::table_of;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// What an operator reads about one service's configuration.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The service.
    pub service: &'static str,
    /// `docs/reference/config/<service>.md`.
    pub markdown: String,
    /// `deploy/config/<service>.toml`.
    pub toml: String,
    /// JSON Schema.
    pub schema: Value,
}

impl Reference {
    /// Paths in the repository and what they hold.
    pub fn files(self) -> [(String, String); 2] {
        let page = format!("docs/reference/config/{}.md", self.service);
        [(page, self.markdown), (format!("deploy/config/{}.toml", self.service), self.toml)]
    }
}

/// Schema and defaults of some sections.
#[derive(Clone)]
pub struct SectionDocs {
    schema: Value,
    defaults: Value,
}

impl SectionDocs {
    /// Of a type whose defaults are its own.
    pub fn of<T: JsonSchema + Serialize + Default>() -> Self {
        Self::of_value(&T::default())
    }

    /// Of a type, with these defaults.
    pub fn of_value<T: JsonSchema + Serialize>(defaults: &T) -> Self {
        let schema: Schema = schema_for!(T);
        let defaults = serde_json::to_value(table_of(defaults)).unwrap_or_default();
        Self { schema: schema.into(), defaults }
    }

    /// The same as a section called `name`.
    pub fn under(self, name: &str) -> Self {
        let schema = serde_json::json!({ "properties": { name: self.schema } });
        Self { schema, defaults: serde_json::json!({ name: self.defaults }) }
    }
}

/// One key.
struct Key {
    /// Table, such as `limits`; empty at the top.
    table: String,
    name: String,
    kind: String,
    default: Value,
    text: String,
}

/// Writes the reference of a service from all its sections.
pub fn reference(service: &'static str, sections: &[SectionDocs]) -> Reference {
    let mut keys = Vec::new();
    for section in sections {
        collect(&section.schema, &section.schema, &section.defaults, "", &mut keys);
    }
    // Keys at the top must come before the first table in TOML; the sort is stable, so sections keep their order.
    keys.sort_by_key(|key| !key.table.is_empty());
    Reference {
        service,
        markdown: markdown(service, &keys),
        toml: toml(service, &keys),
        schema: schema(service, sections),
    }
}

fn schema(service: &str, sections: &[SectionDocs]) -> Value {
    let all: Vec<&Value> = sections.iter().map(|section| &section.schema).collect();
    serde_json::json!({ "title": service, "allOf": all })
}

/// Walks a table's properties. `root` resolves `$ref`.
fn collect(root: &Value, table: &Value, defaults: &Value, path: &str, keys: &mut Vec<Key>) {
    let root = if table.get("$defs").is_some() { table } else { root };
    let table = resolve(root, table);
    let Some(properties) = table.get("properties").and_then(Value::as_object) else { return };
    // A table's own keys come before the tables in it, as TOML wants it.
    let (tables, plain): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(_, property)| resolve(root, property).get("properties").is_some());
    for (name, property) in plain {
        let target = resolve(root, property);
        let text = property.get("description").or_else(|| target.get("description"));
        keys.push(Key {
            table: path.to_owned(),
            name: name.clone(),
            kind: kind(root, target),
            default: defaults.get(name).cloned().unwrap_or_default(),
            text: text.and_then(Value::as_str).unwrap_or_default().replace('\n', " "),
        });
    }
    for (name, property) in tables {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(root, property, defaults.get(name).unwrap_or(&Value::Null), &below, keys);
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// A type in words.
fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(alternatives) = alternatives {
        let kinds = alternatives.iter().map(|each| kind(root, each)).filter(|kind| kind != "nothing");
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return format!("`{word}`");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`"));
        return words.collect::<Vec<_>>().join(" or ");
    }
    if let Some(format @ ("size" | "time")) = schema.get("format").and_then(Value::as_str) {
        return format.to_owned();
    }
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let words = types.into_iter().filter(|word| *word != "null").map(|word| match word {
        "array" => {
            format!("list of {}", schema.get("items").map_or_else(String::new, |items| kind(root, items)))
        }
        "object" => "table".to_owned(),
        word => word.to_owned(),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") }
}

fn markdown(service: &str, keys: &[Key]) -> String {
    let mut page = format!(
        "# Configuration of {service}\n\n\
         Generated by `patchbay config docs`; do not edit. Values come from defaults, then the file given by `--config`,\n\
         then environment variables, then flags. In the all-in-one, sections that are the service's own stand under\n\
         `[{service}]`, and their variables begin with `PATCHBAY_{}__`.\n",
        service.replace('-', "_").to_uppercase()
    );
    let mut table = None;
    for key in keys {
        if table != Some(&key.table) {
            table = Some(&key.table);
            let title = if key.table.is_empty() {
                "Top of the file".to_owned()
            } else {
                format!("`[{}]`", key.table)
            };
            append(
                &mut page,
                format_args!(
                    "\n## {title}\n\n| key | type | default | variable | |\n|---|---|---|---|---|\n"
                ),
            );
        }
        let default = shown(&key.default).map_or_else(|| "not set".to_owned(), |text| format!("`{text}`"));
        let text = key.text.replace('|', "\\|");
        append(
            &mut page,
            format_args!("| `{}` | {} | {default} | `{}` | {text} |\n", key.name, key.kind, variable(key)),
        );
    }
    page
}

fn toml(service: &str, keys: &[Key]) -> String {
    let mut file = format!(
        "# Configuration of {service}, with every default. Generated by `patchbay config docs`; copy it and\n\
         # uncomment what you change.\n"
    );
    let mut table = "";
    for key in keys {
        if table != key.table {
            table = &key.table;
            append(&mut file, format_args!("\n[{table}]\n"));
        }
        append(&mut file, format_args!("\n# {}\n", key.text));
        match shown(&key.default) {
            Some(default) => append(&mut file, format_args!("# {} = {default}\n", key.name)),
            None => append(&mut file, format_args!("# {} = ... ({})\n", key.name, key.kind)),
        }
    }
    file
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}

fn variable(key: &Key) -> String {
    let path = if key.table.is_empty() { key.name.clone() } else { format!("{}.{}", key.table, key.name) };
    format!("PATCHBAY_{}", path.replace('.', "__").to_uppercase())
}

/// A default as TOML; `None` where nothing is set.
fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        // JSON's strings, numbers and lists of them are TOML's as well; tables in lists are not.
        Value::Array(items) if items.iter().any(Value::is_object) => Some(inline(default)),
        Value::Object(_) => Some(inline(default)),
        plain => Some(plain.to_string()),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs = table.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}
