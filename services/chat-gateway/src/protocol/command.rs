//! Commands of the native protocol: one JSON object with an `id` and one verb.

use super::error::{CommandError, ErrorCode};
use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Greatest id: JSON numbers are exact up to 2^53 - 1 in every client.
const MAX_ID: u64 = (1 << 53) - 1;

/// One line of a frame.
#[derive(Debug)]
pub enum Line<'a> {
    /// `{}`: the answer to a ping.
    Pong,
    /// A command.
    Command(Command<'a>),
}

/// A command and the id to answer under; `None` asks for no answer.
#[derive(Debug)]
pub struct Command<'a> {
    /// The client's id.
    pub id: Option<u64>,
    /// What to do.
    pub verb: Verb<'a>,
}

/// A line that is no command, and the id to say so under.
#[derive(Debug)]
pub struct BadLine {
    /// The client's id, 0 when it cannot be told.
    pub id: u64,
    /// What is wrong.
    pub error: CommandError,
}

/// What a client asks for. Text that is only looked at is borrowed from the frame.
#[derive(Debug)]
#[expect(missing_docs, reason = "the verbs are described in docs/protocol/chat.md")]
pub enum Verb<'a> {
    Connect(Connect<'a>),
    Refresh(Refresh<'a>),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Channel<'a>),
    Publish(Publish<'a>),
    Edit(Edit<'a>),
    Delete(Delete<'a>),
    React(React<'a>),
    History(History<'a>),
    Presence(Presence<'a>),
    PresenceStats(Channel<'a>),
    Typing(Typing<'a>),
    Receipt(Receipt<'a>),
    Receipts(Channel<'a>),
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[expect(missing_docs, reason = "the fields are described in docs/protocol/chat.md")]
        pub struct $name<'a> { $($(#[$attr])* pub $field: $type),* }
    )*};
}

payloads! {
    /// `connect`
    Connect {
        #[serde(borrow, default)] token: Option<Cow<'a, str>>,
        #[serde(borrow, default)] username: Option<Cow<'a, str>>,
        #[serde(borrow, default)] avatar: Option<Cow<'a, str>>,
        #[serde(borrow, default)] session: Option<Cow<'a, str>>,
        #[serde(borrow, default)] name: Option<Cow<'a, str>>,
        #[serde(borrow, default)] version: Option<Cow<'a, str>>,
    }
    /// `refresh`
    Refresh { #[serde(borrow)] token: Cow<'a, str> }
    /// `subscribe`
    Subscribe {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(borrow, default)] recover: Option<Recover<'a>>,
        #[serde(default)] join_leave: bool,
    }
    /// A stream position from which to recover.
    Recover { #[serde(borrow)] epoch: Cow<'a, str>, offset: u64 }
    /// A verb that only names a channel.
    Channel { #[serde(borrow)] channel: Cow<'a, str> }
    /// `publish`
    Publish {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(borrow)] data: &'a RawValue,
        #[serde(borrow, default)] key: Option<Cow<'a, str>>,
        #[serde(default)] reply_to: Option<u64>,
    }
    /// `edit`
    Edit {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(rename = "ref")] reference: u64,
        #[serde(borrow)] data: &'a RawValue,
        #[serde(borrow, default)] key: Option<Cow<'a, str>>,
    }
    /// `delete`
    Delete {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(rename = "ref")] reference: u64,
        #[serde(borrow, default)] key: Option<Cow<'a, str>>,
    }
    /// `react`
    React {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(rename = "ref")] reference: u64,
        #[serde(borrow)] emoji: Cow<'a, str>,
        #[serde(default)] remove: bool,
    }
    /// `history`
    History {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(default)] after: Option<u64>,
        #[serde(default)] before: Option<u64>,
        #[serde(borrow, default)] epoch: Option<Cow<'a, str>>,
        #[serde(default)] limit: Option<usize>,
    }
    /// `presence`
    Presence { #[serde(borrow)] channel: Cow<'a, str>, #[serde(default)] limit: Option<usize> }
    /// `typing`
    Typing { #[serde(borrow)] channel: Cow<'a, str>, active: bool }
    /// `receipt`
    Receipt {
        #[serde(borrow)] channel: Cow<'a, str>,
        #[serde(default)] delivered: Option<u64>,
        #[serde(default)] read: Option<u64>,
    }
}

/// Parses one line of a frame. `max_depth` bounds the nesting of objects and arrays.
pub fn parse(line: &str, max_depth: usize) -> Result<Line<'_>, BadLine> {
    if line == "{}" {
        return Ok(Line::Pong);
    }
    if nesting(line.as_bytes()) > max_depth {
        return Err(bad(0, format!("the JSON is nested more than {max_depth} deep")));
    }
    let envelope: Envelope<'_> =
        serde_json::from_str(line).map_err(|error| bad(0, format!("not a command: {error}")))?;
    let id = envelope.id.unwrap_or(0);
    if id > MAX_ID {
        return Err(bad(0, "`id` must be at most 2^53 - 1"));
    }
    let Some((name, payload)) = envelope.verb else {
        return if envelope.id.is_none() && !envelope.has_fields {
            Ok(Line::Pong)
        } else {
            Err(bad(id, "a command needs one verb, such as `publish`"))
        };
    };
    let verb = parse_verb(&name, payload).map_err(|error| BadLine { id, error })?;
    if id == 0 && !matches!(verb, Verb::Typing(_) | Verb::Receipt(_)) {
        return Err(bad(0, "a command needs an `id` from 1"));
    }
    Ok(Line::Command(Command { id: (id != 0).then_some(id), verb }))
}

fn parse_verb<'a>(name: &str, payload: &'a RawValue) -> Result<Verb<'a>, CommandError> {
    Ok(match name {
        "connect" => Verb::Connect(fields(payload)?),
        "refresh" => Verb::Refresh(fields(payload)?),
        "subscribe" => Verb::Subscribe(fields(payload)?),
        "unsubscribe" => Verb::Unsubscribe(fields(payload)?),
        "publish" => Verb::Publish(fields(payload)?),
        "edit" => Verb::Edit(fields(payload)?),
        "delete" => Verb::Delete(fields(payload)?),
        "react" => Verb::React(fields(payload)?),
        "history" => Verb::History(fields(payload)?),
        "presence" => Verb::Presence(fields(payload)?),
        "presence_stats" => Verb::PresenceStats(fields(payload)?),
        "typing" => Verb::Typing(fields(payload)?),
        "receipt" => Verb::Receipt(fields(payload)?),
        "receipts" => Verb::Receipts(fields(payload)?),
        _ => {
            return Err(CommandError::new(
                ErrorCode::MethodNotFound,
                "unknown verb: see docs/protocol/chat.md",
            ));
        }
    })
}

fn fields<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, CommandError> {
    serde_json::from_str(payload.get())
        .map_err(|error| CommandError::new(ErrorCode::BadRequest, format!("bad request: {error}")))
}

fn bad(id: u64, message: impl Into<Cow<'static, str>>) -> BadLine {
    BadLine { id, error: CommandError::new(ErrorCode::BadRequest, message) }
}

/// Counts the deepest nesting of brackets outside strings. Not a validator: the parser comes after it.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for &byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The outer object: the id, and the last field whose value is an object.
struct Envelope<'a> {
    id: Option<u64>,
    verb: Option<(Cow<'a, str>, &'a RawValue)>,
    has_fields: bool,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

/// A key of the outer object, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `id` and one verb")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope { id: None, verb: None, has_fields: false };
        while let Some(Key(key)) = map.next_key()? {
            envelope.has_fields = true;
            if key == "id" {
                envelope.id = Some(map.next_value()?);
            } else if envelope.verb.is_none() {
                let value: &'de RawValue = map.next_value()?;
                // Fields that are not objects are additions of a later version: ignored.
                if value.get().starts_with('{') {
                    envelope.verb = Some((key, value));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(line: &str) -> (u64, ErrorCode) {
        let failure = parse(line, 32).expect_err(line);
        (failure.id, failure.error.code)
    }

    #[test]
    fn a_publish_is_parsed_without_touching_its_data() {
        let line = r#"{"id":7,"publish":{"channel":"lobby","data":{"a": [1, "\u00e9"]},"key":"k","extra":1},"later":true}"#;
        let Ok(Line::Command(Command { id: Some(7), verb: Verb::Publish(publish) })) = parse(line, 32) else {
            panic!("not a publish");
        };
        assert_eq!(publish.channel, "lobby");
        assert_eq!(publish.data.get(), r#"{"a": [1, "\u00e9"]}"#);
        assert_eq!(publish.key.as_deref(), Some("k"));
    }

    #[test]
    fn pongs_are_told_from_commands() {
        assert!(matches!(parse("{}", 32), Ok(Line::Pong)));
        assert!(matches!(parse("{ }", 32), Ok(Line::Pong)));
    }

    #[test]
    fn bad_lines_keep_their_id_where_it_can_be_told() {
        assert_eq!(code("nonsense"), (0, ErrorCode::BadRequest));
        assert_eq!(code("[1]"), (0, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":"x","publish":{}}"#), (0, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":3}"#), (3, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":3,"publish":{}}"#), (3, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":3,"publish":{"channel":1,"data":1}}"#), (3, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":3,"dance":{}}"#), (3, ErrorCode::MethodNotFound));
        assert_eq!(code(r#"{"publish":{"channel":"a","data":1}}"#), (0, ErrorCode::BadRequest));
        assert_eq!(code(r#"{"id":-1,"typing":{}}"#), (0, ErrorCode::BadRequest));
    }

    #[test]
    fn nesting_is_bounded_before_parsing() {
        let deep =
            format!(r#"{{"id":1,"publish":{{"channel":"a","data":{}1{}}}}}"#, "[".repeat(31), "]".repeat(31));
        assert_eq!(code(&deep), (0, ErrorCode::BadRequest));
        let brackets_in_text =
            format!(r#"{{"id":1,"publish":{{"channel":"a","data":"{}"}}}}"#, "[\\\"".repeat(99));
        assert!(parse(&brackets_in_text, 32).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            drop(parse(&text, 32));
        }

        #[test]
        fn no_near_command_panics(verb in "[a-z_]{0,12}", value in r#"[\[\]{}",:0-9a-z]{0,40}"#) {
            drop(parse(&format!(r#"{{"id":1,"{verb}":{value}}}"#), 32));
        }
    }
}
