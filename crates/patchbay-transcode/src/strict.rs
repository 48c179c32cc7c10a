//! JSON in which every name stands once. The usual reader takes the last of two, and others take the first: who checks a request and
//! who does what it says must not read different things in it (RFC 8259, section 4).

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, map::Entry};
use std::fmt;

/// Where a text is not the JSON that is read here. Says nothing of what the text holds: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct JsonError {
    what: &'static str,
    line: usize,
    column: usize,
}

/// Reads JSON. A name that stands twice in one object is an error.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(text).map(|Strict(value)| value).map_err(|error| JsonError {
        what: match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            // Every value is taken; only a name can be wrong.
            serde_json::error::Category::Data => "a field is given twice",
            _ => "wrong syntax",
        },
        line: error.line(),
        column: error.column(),
    })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let Entry::Vacant(place) = read.entry(name) else {
                return Err(A::Error::custom("a field is given twice"));
            };
            let Strict(value) = fields.next_value()?;
            place.insert(value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_stands_once_in_an_object() {
        for twice in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": {"b": 1, "c": [], "b": null}}"#,
            r#"[{}, {"a": 1, "\u0061": 2}]"#,
        ] {
            let error = parse(twice.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("a field is given twice at line 1, column "), "{twice}: {error}");
        }
        assert!(parse(br#"[{"a": 1}, {"a": {"a": 1}}]"#).is_ok());
    }

    #[test]
    fn errors_show_nothing_of_the_text() {
        for text in [r#"{"password": "hunter2" oops"#, r#"{"hunter2": 1, "hunter2": 2}"#, r#"{"a": "hunter2"#]
        {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_usual(text in r#"[\[\]{}":,0-9a-c.\-eE tru fals nul\\]{0,40}"#, bytes in any::<Vec<u8>>()) {
            for text in [text.as_bytes(), &bytes] {
                match (parse(text), serde_json::from_slice::<Value>(text)) {
                    (Ok(ours), usual) => prop_assert_eq!(Some(ours), usual.ok()),
                    (Err(error), Ok(_)) => prop_assert_eq!(error.what, "a field is given twice"),
                    (Err(_), Err(_)) => {}
                }
            }
        }

        #[test]
        fn numbers_and_texts_are_read_as_usual(number in any::<f64>(), whole in any::<i64>(), text in ".*") {
            let written = serde_json::json!([number, whole, {"a": text}, null, true]).to_string();
            prop_assert_eq!(parse(written.as_bytes()).ok(), serde_json::from_str(&written).ok());
        }
    }
}
