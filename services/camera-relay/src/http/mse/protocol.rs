//! The text messages of the MSE door, without I/O: JSON, one message each.

use patchbay_media::{
    Codec, Kind,
    hub::{Reordering, Wanted},
};
use serde::Serialize;
use serde_json::Value;

/// Most codecs that a page may name.
const MAX_CODECS: usize = 64;

/// Characters of a page's own words that an error repeats.
const REPEATED: usize = 40;

/// Why a message is not understood. The text is for whoever wrote the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the message is no JSON object")]
    NotJson,
    #[error("there is no message of type `{0}`: send {{\"type\":\"mse\",\"codecs\":[...]}}")]
    UnknownType(String),
    #[error(
        "`codecs` must be a list of at most {MAX_CODECS} texts such as \"avc1.640029\": what `MediaSource.isTypeSupported` takes"
    )]
    BadCodecs,
    #[error(
        "none of the codecs is one that is sent here: name some of avc1, hvc1, av01, vp09, mp4a and opus, with their parameters"
    )]
    NoCodecs,
}

/// What a page is sent as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing<'a> {
    /// An init segment of that kind comes next, as a binary message, and then fragments that belong to it. What follows stands on its own: a `SourceBuffer` that has
    /// something already is to be told by `abort()` or `changeType()`.
    Mse {
        /// `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
        mime: &'a str,
    },
    /// There are no pictures for now; they come when the camera is back.
    Waiting {
        /// Why.
        message: &'a str,
    },
    /// It ends.
    Error {
        /// Stable word for programs.
        code: &'a str,
        /// Why, in words.
        message: &'a str,
    },
}

/// Reads what a page can play.
pub(super) fn read(text: &str) -> Result<Wanted, MessageError> {
    let Ok(Value::Object(message)) = serde_json::from_str(text) else { return Err(MessageError::NotJson) };
    match message.get("type").and_then(Value::as_str) {
        Some("mse") => {}
        other => {
            return Err(MessageError::UnknownType(
                other.unwrap_or_default().chars().take(REPEATED).collect(),
            ));
        }
    }
    let Some(Value::Array(named)) = message.get("codecs") else { return Err(MessageError::BadCodecs) };
    if named.len() > MAX_CODECS {
        return Err(MessageError::BadCodecs);
    }
    let mut wanted = Wanted { reordered: Reordering::Allowed, ..Wanted::default() };
    for name in named {
        let Some(codec) = codec(name.as_str().ok_or(MessageError::BadCodecs)?) else { continue };
        let of_kind = match codec.kind() {
            Kind::Video => &mut wanted.video,
            Kind::Audio => &mut wanted.audio,
        };
        if !of_kind.contains(&codec) {
            of_kind.push(codec);
        }
    }
    if wanted.video.is_empty() && wanted.audio.is_empty() {
        return Err(MessageError::NoCodecs);
    }
    Ok(wanted)
}

/// Writes a message.
pub(super) fn write(message: &Outgoing<'_>) -> String {
    serde_json::to_string(message).expect("texts are always JSON")
}

/// The codec of a name as in RFC 6381; none that is not sent here.
fn codec(name: &str) -> Option<Codec> {
    let (family, parameters) = name.split_once('.').unwrap_or((name, ""));
    match family.to_ascii_lowercase().as_str() {
        "avc1" | "avc3" => Some(Codec::H264),
        "hvc1" | "hev1" => Some(Codec::H265),
        "av01" => Some(Codec::Av1),
        "vp09" | "vp9" => Some(Codec::Vp9),
        // 40 is MPEG-4 audio; others of that family are MP3 and such.
        "mp4a" if parameters.starts_with("40.") => Some(Codec::Aac),
        "opus" => Some(Codec::Opus),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codecs_are_taken_in_the_order_of_the_page() {
        let text = r#"{"type":"mse","codecs":["hvc1.1.6.L93.B0","avc1.42e01e","avc1.640029","mp4a.40.2","mp4a.6b","opus","flac","vp09.00.10.08"]}"#;
        let wanted = read(text).unwrap();
        assert_eq!(wanted.video, [Codec::H265, Codec::H264, Codec::Vp9]);
        assert_eq!(wanted.audio, [Codec::Aac, Codec::Opus]);
        assert_eq!((wanted.reordered, wanted.limit), (Reordering::Allowed, None));
    }

    #[test]
    fn what_is_no_such_message_is_told() {
        let many = vec!["\"opus\""; MAX_CODECS + 1].join(",");
        for (text, error) in [
            ("", MessageError::NotJson),
            ("[1]", MessageError::NotJson),
            ("{}", MessageError::UnknownType(String::new())),
            (r#"{"type":"offer"}"#, MessageError::UnknownType("offer".to_owned())),
            (r#"{"type":"mse"}"#, MessageError::BadCodecs),
            (r#"{"type":"mse","codecs":[7]}"#, MessageError::BadCodecs),
            (&format!(r#"{{"type":"mse","codecs":[{many}]}}"#), MessageError::BadCodecs),
            (r#"{"type":"mse","codecs":["flac","vp8"]}"#, MessageError::NoCodecs),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }

    #[test]
    fn messages_have_their_form() {
        let mime = r#"video/mp4; codecs="avc1.64001f""#;
        assert_eq!(
            write(&Outgoing::Mse { mime }),
            r#"{"type":"mse","mime":"video/mp4; codecs=\"avc1.64001f\""}"#
        );
        let error = Outgoing::Error { code: "LIMIT", message: "full" };
        assert_eq!(write(&error), r#"{"type":"error","code":"LIMIT","message":"full"}"#);
        assert_eq!(write(&Outgoing::Waiting { message: "away" }), r#"{"type":"waiting","message":"away"}"#);
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in "\\PC*", codecs in prop::collection::vec("\\PC*", 0..4)) {
            drop(read(&text));
            drop(read(&serde_json::json!({ "type": "mse", "codecs": codecs }).to_string()));
        }
    }
}
