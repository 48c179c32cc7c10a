//! Path, query and body to a message, and a message to JSON.

use crate::strict::{self, JsonError};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde_json::{Map, Value};

/// Why a request is no message. The text is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The body cannot be read.
    #[error("the body is not valid JSON: {0}")]
    Json(#[from] JsonError),
    /// The body is JSON, but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body does not fit the message.
    #[error("the body does not fit: {0}")]
    DoesNotFit(String),
    /// A field of the path or the query is not one of the message.
    #[error("`{0}` is not a field of this request")]
    UnknownField(String),
    /// A field is in the path or the query, and elsewhere with another value.
    #[error("`{0}` is given twice")]
    GivenTwice(String),
    /// A value of the path or the query cannot be read.
    #[error("`{field}` {problem}")]
    Value {
        /// Its field.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

/// A request on its way to a message.
pub(crate) struct Builder {
    descriptor: MessageDescriptor,
    object: Map<String, Value>,
}

impl Builder {
    /// Begins with the body; an empty one is `{}`.
    pub(crate) fn new(descriptor: MessageDescriptor, body: &[u8]) -> Result<Self, MessageError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { descriptor, object: Map::new() });
        }
        match strict::parse(body)? {
            Value::Object(object) => {
                refuse_two_spellings(&object, &descriptor)?;
                Ok(Self { descriptor, object })
            }
            _ => Err(MessageError::NotAnObject),
        }
    }

    /// Sets what the path or the query says. `field` may name a field in a message, as `group.name`.
    pub(crate) fn set(&mut self, field: &str, text: &str) -> Result<(), MessageError> {
        insert(&mut self.object, &self.descriptor, field, field, text)
    }

    /// The message.
    pub(crate) fn finish(self) -> Result<DynamicMessage, MessageError> {
        let options = DeserializeOptions::new();
        DynamicMessage::deserialize_with_options(self.descriptor, Value::Object(self.object), &options)
            .map_err(|error| MessageError::DoesNotFit(error.to_string()))
    }
}

/// A field has two names in JSON; under both, it is given twice.
fn refuse_two_spellings(
    object: &Map<String, Value>,
    descriptor: &MessageDescriptor,
) -> Result<(), MessageError> {
    for field in descriptor.fields() {
        let given = (object.get(field.name()), object.get(field.json_name()));
        let value = match given {
            (Some(_), Some(_)) if field.name() != field.json_name() => {
                return Err(MessageError::GivenTwice(field.name().to_owned()));
            }
            (Some(value), _) | (_, Some(value)) => value,
            (None, None) => continue,
        };
        // The keys of a map are no fields.
        if let (Kind::Message(inner), false) = (field.kind(), field.is_map()) {
            let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            items
                .iter()
                .filter_map(Value::as_object)
                .try_for_each(|item| refuse_two_spellings(item, &inner))?;
        }
    }
    Ok(())
}

fn insert(
    object: &mut Map<String, Value>,
    descriptor: &MessageDescriptor,
    whole: &str,
    path: &str,
    text: &str,
) -> Result<(), MessageError> {
    let unknown = || MessageError::UnknownField(whole.to_owned());
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = descriptor
        .get_field_by_name(name)
        .or_else(|| descriptor.get_field_by_json_name(name))
        .ok_or_else(unknown)?;
    let key = spelling(object, &field);
    if let Some(rest) = rest {
        let Kind::Message(inner) = field.kind() else { return Err(unknown()) };
        let child = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(child) = child else { return Err(MessageError::GivenTwice(whole.to_owned())) };
        return insert(child, &inner, whole, rest, text);
    }
    let value = value(whole, &field, text)?;
    if field.is_list() {
        return match object.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(items) => {
                items.push(value);
                Ok(())
            }
            _ => Err(MessageError::GivenTwice(whole.to_owned())),
        };
    }
    match object.insert(key, value.clone()) {
        Some(before) if before != value => Err(MessageError::GivenTwice(whole.to_owned())),
        _ => Ok(()),
    }
}

/// The key under which the object has the field, if it has it.
fn spelling(object: &Map<String, Value>, field: &FieldDescriptor) -> String {
    let key = if object.contains_key(field.json_name()) { field.json_name() } else { field.name() };
    key.to_owned()
}

/// Text of a path or a query as the JSON that the field takes. Enums may be written short: `mqtt` for `PROTOCOL_MQTT`.
fn value(whole: &str, field: &FieldDescriptor, text: &str) -> Result<Value, MessageError> {
    match field.kind() {
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| MessageError::Value {
            field: whole.to_owned(),
            problem: "must be true or false".to_owned(),
        }),
        Kind::Enum(descriptor) => {
            let wanted = text.to_ascii_uppercase().replace('-', "_");
            let names: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
            let long = names.iter().find(|name| **name == wanted);
            let short = || names.iter().find(|name| name.ends_with(&format!("_{wanted}")));
            long.or_else(short).cloned().map(Value::String).ok_or_else(|| MessageError::Value {
                field: whole.to_owned(),
                problem: format!("must be one of {}", names.join(", ")),
            })
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A message as JSON.
pub(crate) fn to_json(message: &DynamicMessage) -> Result<Vec<u8>, serde_json::Error> {
    let options = SerializeOptions::new().skip_default_fields(false).use_proto_field_name(true);
    let mut json = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut json, &options)?;
    Ok(json.into_inner())
}
