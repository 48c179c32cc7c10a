//! Random bytes, hashes, and what there is to say of the cache.

use super::{
    Outcome,
    body::{Fields, to_base64},
    frame::{Answer, Refusal},
    session::Session,
    signature,
};
use patchbay_proto::crypto::v1::{DigestRequest, RandomRequest};
use serde_json::json;

/// Random bytes when no number is asked for.
const RANDOM: u32 = 32;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Base64,
    Hex,
}

impl Format {
    fn of(body: &Fields, default: Self) -> Result<Self, Refusal> {
        match body.text("format")? {
            None | Some("") => Ok(default),
            Some("base64") => Ok(Self::Base64),
            Some("hex") => Ok(Self::Hex),
            Some(other) => Err(Refusal::bad(format!(
                "unsupported encoding format {other:?}; must be \"hex\" or \"base64\""
            ))),
        }
    }

    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => to_base64(bytes),
            Self::Hex => hex::encode(bytes),
        }
    }
}

/// Random bytes. All sources are one here: the system's generator.
pub(super) async fn random(session: &Session, in_path: Option<&str>, body: &Fields) -> Outcome {
    let size = match in_path {
        Some(text) => {
            text.parse().map_err(|_| Refusal::bad(format!("error parsing url-set byte count: {text:?}")))?
        }
        None => body.number("bytes")?.unwrap_or(RANDOM),
    };
    let format = Format::of(body, Format::Base64)?;
    let request = session.request(RandomRequest { size });
    let made = session.wait(session.data().random(request)).await?;
    Ok(Answer::data(json!({ "random_bytes": format.write(&made.data) })))
}

/// A digest.
pub(super) async fn hash(session: &Session, in_path: Option<&str>, body: &Fields) -> Outcome {
    let word = match in_path {
        Some(word) => word,
        None => body.text("algorithm")?.filter(|word| !word.is_empty()).unwrap_or("sha2-256"),
    };
    let algorithm = signature::digest(word).filter(|_| word != "sha1");
    let algorithm = algorithm.ok_or_else(|| Refusal::bad(format!("unsupported algorithm {word}")))?;
    let data = body.bytes("input")?.ok_or_else(|| Refusal::bad("missing input"))?;
    let format = Format::of(body, Format::Hex)?;
    let message = DigestRequest { algorithm: algorithm.into(), data, allow_unsafe: false };
    let done = session.wait(session.hash().digest(session.request(message))).await?;
    Ok(Answer::data(json!({ "sum": format.write(&done.digest) })))
}

/// The cache has no size: keys that are not used leave it by time.
pub(super) fn cache_config() -> Answer {
    Answer::data(json!({ "size": 0 }))
}
