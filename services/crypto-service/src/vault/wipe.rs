//! Forgetting what requests and answers held: plaintexts, keys and backups stand in them as text.

use serde_json::Value;
use zeroize::Zeroize;

/// Overwrites every text in a value.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_text_is_left() {
        let mut value = json!({"a": "secret", "b": [{"c": "secret"}, "secret", 1, true, null]});
        wipe(&mut value);
        assert!(!value.to_string().contains("secret"));
    }
}
