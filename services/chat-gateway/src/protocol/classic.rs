//! The classic protocol: the JSON frames of pages that were written before Patchbay, kept to the letter.
//! `docs/protocol/chat.md` has the table.

use super::publication::Stored;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// Avatar of somebody who chose none.
pub const DEFAULT_AVATAR: &str = "./images/1.png";
/// What a newcomer is told.
const WELCOME: &str = "已连接到WebSocket服务器";

/// What a classic client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound {
    /// `user_info`
    UserInfo {
        /// New display name.
        username: String,
        /// New picture.
        avatar: String,
    },
    /// `chat`
    Chat {
        /// The text.
        content: String,
        /// The sender's time, as it wants it shown.
        timestamp: Option<String>,
    },
    /// `ping`
    Ping,
}

/// Parses a frame; the error is the text that the client is told.
pub fn parse(text: &str) -> Result<Inbound, Cow<'static, str>> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err("消息格式不是有效的JSON".into());
    };
    let field = |name: &str| value.get(name).filter(|field| !is_empty(field));
    let Some(kind) = field("type") else {
        return Err("消息格式错误,缺少type字段".into());
    };
    match kind.as_str() {
        Some("ping") => Ok(Inbound::Ping),
        Some("chat") => match field("content") {
            Some(content) => {
                Ok(Inbound::Chat { content: shown(content), timestamp: field("timestamp").map(shown) })
            }
            None => Err("消息缺少content字段".into()),
        },
        Some("user_info") => match (field("username"), field("avatar")) {
            (Some(username), Some(avatar)) => {
                Ok(Inbound::UserInfo { username: shown(username), avatar: shown(avatar) })
            }
            _ => Err("用户信息不完整,需要username和avatar字段".into()),
        },
        _ => Err(format!("不支持的消息类型: {}", shown(kind)).into()),
    }
}

/// Empty values count as missing, as they did for the first server.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A value as text: a string as it is, an object's `text` if it has one, anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.get("text") {
            Some(Value::String(text)) => text.clone(),
            _ => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// Somebody on the users list.
#[derive(Debug, Serialize, Deserialize)]
pub struct User<'a> {
    /// Connection id.
    pub client_id: &'a str,
    /// Display name.
    pub username: Cow<'a, str>,
    /// Address of the picture.
    pub avatar: Cow<'a, str>,
}

/// What a classic client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are described in docs/protocol/chat.md")]
pub enum Outbound<'a> {
    Welcome { client_id: &'a str, content: &'a str, user_count: usize },
    UsersList { users: Vec<User<'a>> },
    UserUpdate { client_id: &'a str, username: &'a str, avatar: &'a str },
    Chat { client_id: &'a str, sender: &'a str, content: String, timestamp: String, avatar: &'a str },
    System { content: String },
    Pong,
    Error { message: &'a str },
}

impl<'a> Outbound<'a> {
    /// The first message to a newcomer.
    pub fn welcome(client_id: &'a str, user_count: usize) -> Self {
        Self::Welcome { client_id, content: WELCOME, user_count }
    }

    /// Somebody came.
    pub fn joined(name: &str, count: usize) -> Self {
        Self::System { content: format!("用户 {name} 加入聊天,当前共有 {count} 名用户") }
    }

    /// Somebody went.
    pub fn left(name: &str, count: usize) -> Self {
        Self::System { content: format!("用户 {name} 离开聊天,当前共有 {count} 名用户") }
    }

    /// A message of the room, whoever posted it; `None` for entries that this protocol cannot express.
    pub fn publication(stored: &'a Stored<'a>) -> Option<Self> {
        if stored.kind != super::publication::Kind::Message {
            return None;
        }
        let data: Value = serde_json::from_str(stored.data?.get()).ok()?;
        let timestamp = match data.get("timestamp") {
            Some(Value::String(given)) => given.clone(),
            _ => local_time(stored.ts),
        };
        Some(Self::Chat {
            client_id: &stored.from.client,
            sender: &stored.from.name,
            content: shown(&data),
            timestamp,
            avatar: &stored.from.avatar,
        })
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values always encode")
    }
}

/// Formats Unix milliseconds as `YYYY-MM-DD HH:MM:SS` in the server's time zone.
pub fn local_time(unix_millis: u64) -> String {
    let zone = jiff::tz::TimeZone::system();
    let seconds = i64::try_from(unix_millis / 1000).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    stamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A classic chat message as the stream keeps it: plain text, with the sender's time where it gave one.
pub fn data(content: &str, timestamp: Option<&str>) -> Box<serde_json::value::RawValue> {
    let value = match timestamp {
        None => serde_json::json!(content),
        Some(timestamp) => serde_json::json!({"text": content, "timestamp": timestamp}),
    };
    serde_json::value::to_raw_value(&value).expect("strings always encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_text() {
        for (text, message) in [
            ("{", "消息格式不是有效的JSON"),
            ("[]", "消息格式错误,缺少type字段"),
            (r#"{"content":"x"}"#, "消息格式错误,缺少type字段"),
            (r#"{"type":"dance"}"#, "不支持的消息类型: dance"),
            (r#"{"type":"chat"}"#, "消息缺少content字段"),
            (r#"{"type":"user_info","username":"a"}"#, "用户信息不完整,需要username和avatar字段"),
        ] {
            assert_eq!(parse(text), Err(message.into()), "{text}");
        }
    }

    #[test]
    fn messages_are_understood() {
        assert_eq!(parse(r#"{"type":"ping"}"#), Ok(Inbound::Ping));
        assert_eq!(
            parse(r#"{"type":"chat","content":"hi","timestamp":"now"}"#),
            Ok(Inbound::Chat { content: "hi".into(), timestamp: Some("now".into()) })
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            drop(parse(&text));
        }
    }
}
