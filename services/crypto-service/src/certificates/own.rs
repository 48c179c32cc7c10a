//! The certificates of the suite's own listeners, from what replicas tell of themselves in the node registry.

use super::seen::{Found, Seen};
use patchbay_backplane::NodeRecord;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the names of figures begin with that tell the end of a listener's certificate, in seconds since 1970.
const FIGURE: &str = "certificate_expires_";

/// Characters of a listener's or a service's name at most.
const MAX_NAME: usize = 64;

/// Certificates at most: a suite has a handful, and whoever can write to the registry could make up any number.
const MAX_OWN: usize = 1000;

/// Ends that can be true: until the year 9999.
const ENDS: std::ops::RangeInclusive<f64> = 1.0..=253_402_300_799.0;

/// The part of a replica's words that matters here. A figure that is no number is no reason to miss the others.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    figures: BTreeMap<String, Value>,
}

/// All that living replicas show; replicas that show the same certificate are counted.
pub(super) fn seen(nodes: &[NodeRecord], now_millis: u64) -> Vec<Seen> {
    let mut replicas: BTreeMap<(String, i64), u32> = BTreeMap::new();
    for node in nodes.iter().filter(|node| is_word(&node.service)) {
        let Ok(info) = serde_json::from_slice::<Told>(&node.info) else { continue };
        for (figure, value) in &info.figures {
            let listener = figure.strip_prefix(FIGURE).filter(|listener| is_word(listener));
            if let (Some(listener), Some(not_after)) = (listener, value.as_f64().and_then(end)) {
                let name = format!("{}/{listener}", node.service);
                *replicas.entry((name, not_after)).or_default() += 1;
            }
        }
    }
    let seen = |((name, not_after), replicas): ((String, i64), u32)| Seen {
        name,
        replicas: Some(replicas),
        checked: now_millis,
        found: Ok(Found { not_after, sha256: String::new(), subject: String::new(), grade: String::new() }),
    };
    replicas.into_iter().take(MAX_OWN).map(seen).collect()
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(allowed)
}

/// Whole seconds of a figure.
fn end(value: f64) -> Option<i64> {
    if !ENDS.contains(&value) {
        return None;
    }
    // There is no other way from a float, and the range was checked.
    format!("{value:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_backplane::NodeId;

    fn node(id: &str, service: &str, figures: &str) -> NodeRecord {
        let info = format!(r#"{{"version":"1","started_at":1,"state":"ready","figures":{figures}}}"#);
        NodeRecord { id: NodeId(id.into()), service: service.to_owned(), info: info.into() }
    }

    #[test]
    fn replicas_with_one_certificate_are_counted_and_others_are_not_their_own() {
        let nodes = [
            node("a", "chat-gateway", r#"{"certificate_expires_websocket":1800000000,"connections":null}"#),
            node("b", "chat-gateway", r#"{"certificate_expires_websocket":1800000000.0}"#),
            node("c", "chat-gateway", r#"{"certificate_expires_websocket":1900000000}"#),
            node("d", "console", r#"{"certificate_expires_http":1850000000}"#),
        ];
        let seen = seen(&nodes, 7);
        let told: Vec<_> = seen
            .iter()
            .map(|seen| (seen.name.as_str(), seen.found.as_ref().unwrap().not_after, seen.replicas))
            .collect();
        assert_eq!(
            told,
            [
                ("chat-gateway/websocket", 1_800_000_000, Some(2)),
                ("chat-gateway/websocket", 1_900_000_000, Some(1)),
                ("console/http", 1_850_000_000, Some(1)),
            ]
        );
    }

    #[test]
    fn what_is_no_certificate_is_left_out() {
        let nodes = [
            node(
                "a",
                "console",
                r#"{"certificate_expires_http":0,"certificate_expires_":5,"certificate_expires_a b":5}"#,
            ),
            node(
                "b",
                "console",
                r#"{"certificate_expires_http":-7,"certificate_expires_x":1e300,"certificate_expires_y":null}"#,
            ),
            node("c", "con/sole", r#"{"certificate_expires_http":1800000000}"#),
            NodeRecord { id: NodeId("d".into()), service: "console".to_owned(), info: "{".into() },
        ];
        assert_eq!(seen(&nodes, 7), []);
    }
}
