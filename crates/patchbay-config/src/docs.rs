//! The reference of a service's configuration, generated from its types: a page, and an annotated TOML file.

use crate::load::table_of;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// Columns of a comment.
const WIDTH: usize = 110;

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
        // Inlined, so that types of different crates with one name do not meet.
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>();
        let defaults = serde_json::to_value(table_of(defaults)).unwrap_or_default();
        Self { schema: schema.into(), defaults }
    }

    /// The same as a section called `name`.
    #[must_use]
    pub fn under(self, name: &str) -> Self {
        let schema = serde_json::json!({ "properties": { name: self.schema } });
        Self { schema, defaults: serde_json::json!({ name: self.defaults }) }
    }
}

/// A TOML table.
struct Table {
    /// Such as `limits`; empty at the top.
    path: String,
    text: String,
    keys: Vec<Key>,
}

/// One key of a table.
struct Key {
    name: String,
    kind: String,
    default: Value,
    text: String,
}

/// Writes the reference of a service from all its sections.
pub fn reference(service: &'static str, sections: &[SectionDocs]) -> Reference {
    let mut tables = Vec::new();
    for section in sections {
        collect(&section.schema, &section.defaults, "", &mut tables);
    }
    // Keys at the top must come before the first table in TOML; the sort is stable, so sections keep their order.
    tables.sort_by_key(|table| !table.path.is_empty());
    Reference {
        service,
        markdown: markdown(service, &tables),
        toml: toml(service, &tables),
        schema: schema(service, sections),
    }
}

/// One schema with the properties of all sections.
fn schema(service: &str, sections: &[SectionDocs]) -> Value {
    let properties: serde_json::Map<String, Value> = sections
        .iter()
        .filter_map(|section| section.schema.get("properties")?.as_object())
        .flat_map(Clone::clone)
        .collect();
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": service,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// Walks a table's properties: its own keys come before the tables in it, as TOML wants it.
fn collect(schema: &Value, defaults: &Value, path: &str, tables: &mut Vec<Table>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let is_table = |property: &Value| property.get("properties").is_some();
    let plain = properties.iter().filter(|(_, property)| !is_table(property));
    let keys: Vec<Key> = plain
        .map(|(name, property)| Key {
            name: name.clone(),
            kind: kind(property),
            default: defaults.get(name).cloned().unwrap_or_default(),
            text: description(property),
        })
        .collect();
    if !keys.is_empty() {
        let text = if path.is_empty() { String::new() } else { description(schema) };
        tables.push(Table { path: path.to_owned(), text, keys });
    }
    for (name, property) in properties.iter().filter(|(_, property)| is_table(property)) {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(property, defaults.get(name).unwrap_or(&Value::Null), &below, tables);
    }
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

/// A type in words.
fn kind(schema: &Value) -> String {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(alternatives) = alternatives {
        let kinds = alternatives.iter().map(kind).filter(|kind| kind != "nothing");
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
        "array" => format!("list of {}", schema.get("items").map_or_else(String::new, kind)),
        "object" => "table".to_owned(),
        word => word.to_owned(),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") }
}

fn markdown(service: &str, tables: &[Table]) -> String {
    let mut page = format!(
        "# Configuration of {service}\n\n\
         Generated by `patchbay config docs`; do not edit. Values come from defaults, then the file given by `--config`,\n\
         then environment variables, then flags. In the all-in-one, sections that are the service's own stand under\n\
         `[{service}]`, and their variables begin with `PATCHBAY_{}__`.\n",
        service.replace('-', "_").to_uppercase()
    );
    for table in tables {
        let title =
            if table.path.is_empty() { "Top of the file".to_owned() } else { format!("`[{}]`", table.path) };
        append(&mut page, format_args!("\n## {title}\n\n"));
        if !table.text.is_empty() {
            append(&mut page, format_args!("{}\n\n", table.text));
        }
        page.push_str("| key | type | default | variable | |\n|---|---|---|---|---|\n");
        for Key { name, kind, default, text } in &table.keys {
            let default = shown(default).map_or_else(|| "not set".to_owned(), |text| format!("`{text}`"));
            let (variable, text) = (variable(&table.path, name), text.replace('|', "\\|"));
            append(&mut page, format_args!("| `{name}` | {kind} | {default} | `{variable}` | {text} |\n"));
        }
    }
    page
}

fn toml(service: &str, tables: &[Table]) -> String {
    let mut file = format!(
        "# Configuration of {service}, with every default. Generated by `patchbay config docs`; copy it and\n\
         # uncomment what you change.\n"
    );
    for table in tables {
        file.push('\n');
        comment(&mut file, &table.text);
        if !table.path.is_empty() {
            append(&mut file, format_args!("[{}]\n", table.path));
        }
        for Key { name, kind, default, text } in &table.keys {
            file.push('\n');
            comment(&mut file, text);
            match shown(default) {
                Some(default) => append(&mut file, format_args!("# {name} = {default}\n")),
                None => append(&mut file, format_args!("# {name} = ... ({kind})\n")),
            }
        }
    }
    file
}

/// Writes a comment in lines of a width that reads well.
fn comment(file: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            append(file, format_args!("{line}\n"));
            line.truncate(1);
        }
        append(&mut line, format_args!(" {word}"));
    }
    if line.len() > 1 {
        append(file, format_args!("{line}\n"));
    }
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}

fn variable(table: &str, key: &str) -> String {
    let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    format!("PATCHBAY_{}", path.replace('.', "__").to_uppercase())
}

/// A default as TOML; `None` where nothing is set.
fn shown(default: &Value) -> Option<String> {
    (!default.is_null()).then(|| inline(default))
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs = table.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // JSON's strings and numbers are TOML's as well.
        plain => plain.to_string(),
    }
}
