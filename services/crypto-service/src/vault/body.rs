//! Fields of a request as clients of Vault write them: numbers as text, absent as null, durations in several ways.

use super::{frame::Refusal, wipe::wipe};
use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use bytes::Bytes;
use patchbay_transcode::parse_json;
use serde_json::{Map, Value};
use std::{fmt, time::Duration};

/// Base64 that is read with padding or without.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The fields of a request or of an item of a batch. What is not known is ignored, as Vault does. They may be plaintexts: they are
/// not shown, and they are wiped.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Fields(Map<String, Value>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.0.len())
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

impl Fields {
    /// Reads a body; an empty one has no fields.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match parse_json(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(mut other) => {
                wipe(&mut other);
                Err(Refusal::bad("error parsing JSON: the body is not an object"))
            }
            Err(error) => Err(Refusal::bad(format!("error parsing JSON: {error}"))),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; absent and null are the same.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// A text that may also be written as a number, such as a salt length.
    pub(super) fn word(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => Ok(self.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned)),
        }
    }

    /// Whether a switch is on; absent is off.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.switch(name)?.unwrap_or_default())
    }

    /// A switch that may be absent.
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) => match text.as_str() {
                "true" | "1" => Ok(Some(true)),
                "false" | "0" | "" => Ok(Some(false)),
                _ => Err(wrong(name, "true or false")),
            },
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| wrong(name, "a number that is not negative"))
    }

    /// Bytes in Base64.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Bytes>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let bytes =
            TOLERANT.decode(text).map_err(|_| Refusal::bad(format!("`{name}` is not valid base64")))?;
        Ok(Some(bytes.into()))
    }

    /// A duration: seconds, or numbers with units such as `24h` or `1h30m`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        let Some(text) = self.word(name)? else { return Ok(None) };
        duration(&text).map(Some).ok_or_else(|| wrong(name, "a duration such as \"0\", \"3600\" or \"24h\""))
    }

    /// The items of a batch, if there is one: `limit` at most, even if none of them can be read.
    pub(super) fn batch(&self, limit: usize) -> Result<Option<Vec<Self>>, Refusal> {
        let items = match self.get("batch_input") {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong("batch_input", "a list")),
        };
        if items.is_empty() {
            return Err(Refusal::bad("missing batch input to process"));
        }
        if items.len() > limit {
            let problem = format!("`batch_input` has {} items; {limit} are allowed", items.len());
            return Err(Refusal::bad(problem));
        }
        let read = items.iter().map(|item| match item {
            Value::Object(fields) => Ok(Self(fields.clone())),
            _ => Err(wrong("batch_input", "a list of objects")),
        });
        read.collect::<Result<_, _>>().map(Some)
    }

    /// Whether there is a text that is not empty.
    pub(super) fn has(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.text(name)?.is_some_and(|text| !text.is_empty()))
    }

    /// Refuses a nonce of the caller's.
    pub(super) fn refuse_nonce(&self) -> Result<(), Refusal> {
        if self.has("nonce")? {
            return Err(Refusal::bad("`nonce` is not supported: nonces are never taken from the caller"));
        }
        Ok(())
    }

    /// Refuses what would need derived keys, or a nonce of the caller's.
    pub(super) fn refuse_derivation(&self) -> Result<(), Refusal> {
        self.refuse_nonce()?;
        if self.has("context")? {
            return Err(Refusal::bad(
                "`context` is only supported where a convergent key encrypts or decrypts",
            ));
        }
        for name in ["derived", "convergent_encryption"] {
            if self.flag(name)? {
                return Err(Refusal::bad(format!("`{name}` is not supported: keys are never derived here")));
            }
        }
        Ok(())
    }
}

fn wrong(name: &str, what: &str) -> Refusal {
    Refusal::bad(format!("`{name}` must be {what}"))
}

fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.chars().next()?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = after.get(unit.len_utf8()..)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

/// Bytes as Vault writes them.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn reads_durations_as_vault_does() {
        let seconds = |text: &str| duration(text).map(|duration| duration.as_secs());
        for (text, expected) in
            [("0", 0), ("3600", 3600), ("24h", 86400), ("1h30m", 5400), ("90s", 90), ("2d", 172_800)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for odd in ["", "h", "1x", "-1", "1h3", "99999999999999999999h", "ü"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn numbers_flags_and_nulls_in_every_spelling() {
        let body = fields(&json!({"a": 5, "b": "5", "c": null, "d": "x", "e": -1, "f": "true", "g": true}));
        assert_eq!((body.number("a"), body.number("b")), (Ok(Some(5)), Ok(Some(5))));
        assert_eq!((body.number("c"), body.text("c")), (Ok(None), Ok(None)));
        assert!(body.number("d").is_err() && body.number("e").is_err() && body.flag("d").is_err());
        assert_eq!((body.flag("f"), body.flag("g"), body.flag("c")), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(body.word("a"), Ok(Some("5".to_owned())));
    }

    #[test]
    fn refuses_what_needs_derived_keys() {
        assert!(fields(&json!({"context": "", "derived": false, "nonce": null})).refuse_derivation().is_ok());
        for odd in
            [json!({"context": "eA=="}), json!({"nonce": "eA=="}), json!({"convergent_encryption": true})]
        {
            assert!(fields(&odd).refuse_derivation().is_err(), "{odd}");
        }
    }

    #[test]
    fn items_are_counted_before_they_are_read() {
        let body = fields(&json!({"batch_input": [{}, {}, {}]}));
        assert_eq!(body.batch(3).unwrap().unwrap().len(), 3);
        assert!(body.batch(2).is_err());
    }

    #[test]
    fn fields_are_not_shown_and_stand_once() {
        let body = fields(&json!({"plaintext": "hunter2", "batch_input": [{"plaintext": "hunter2"}]}));
        assert!(!format!("{body:?} {:?}", body.batch(1)).contains("hunter2"));
        assert!(Fields::parse(br#"{"plaintext": "YQ==", "plaintext": "Yg=="}"#).is_err());
    }

    #[test]
    fn a_broken_body_is_not_shown() {
        let refused = Fields::parse(br#"{"plaintext": "hunter2" oops"#).unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_body_brings_it_down(body in any::<Vec<u8>>(), text in "\\PC*") {
            drop(Fields::parse(&body));
            let odd = fields(&json!({"x": text}));
            drop((odd.number("x"), odd.bytes("x"), odd.flag("x"), odd.duration("x"), duration(&text)));
        }
    }
}
