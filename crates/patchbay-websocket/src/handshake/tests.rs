use super::{Handshake, Limits, Refusal, Request, accept_key};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A valid handshake with its lines changed by `edit`.
fn head(edit: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines = vec![
        "GET /ws?token=a%20b HTTP/1.1".to_owned(),
        "Host: chat.example".to_owned(),
        "Upgrade: WebSocket".to_owned(),
        "Connection: keep-alive, Upgrade".to_owned(),
        format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Version: 13".to_owned(),
    ];
    edit(&mut lines);
    lines.join("\r\n") + "\r\n\r\n"
}

fn parse(text: &str) -> Handshake<'_> {
    Handshake::parse(text.as_bytes(), Limits::default())
}

#[test]
fn the_rfcs_own_key() {
    assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_valid_handshake_gives_its_parts_at_every_split() {
    let text = head(|lines| {
        lines.push("Origin: https://chat.example".to_owned());
        lines.push("Sec-WebSocket-Protocol: patchbay.v1.json, other".to_owned());
        lines.push("sec-websocket-protocol: third".to_owned());
        lines.push("X-Forwarded-For: 1.2.3.4".to_owned());
        lines.push("X-Forwarded-For: 5.6.7.8".to_owned());
        lines.push("Authorization: Bearer abc".to_owned());
    });
    for len in 0..text.len() {
        assert_eq!(parse(&text[..len]), Handshake::NeedMore, "at {len}");
    }
    let with_frame = format!("{text}frame");
    let Handshake::Upgrade(upgrade) = parse(&with_frame) else {
        panic!("{:?}", parse(&with_frame));
    };
    assert_eq!(upgrade.head_len, text.len());
    assert_eq!((upgrade.path, upgrade.query), ("/ws", Some("token=a%20b")));
    assert_eq!((upgrade.host, upgrade.origin), ("chat.example", Some("https://chat.example")));
    assert_eq!(upgrade.protocols, ["patchbay.v1.json", "other", "third"]);
    assert_eq!(upgrade.forwarded_for, Some("5.6.7.8"));
    assert_eq!(upgrade.authorization, Some("Bearer abc"));
}

#[test]
fn the_response_accepts_the_key_and_the_protocol() {
    let text = head(|_| ());
    let Handshake::Upgrade(upgrade) = parse(&text) else { panic!("not an upgrade") };
    let response = String::from_utf8(upgrade.accept(Some("patchbay.v1.json"))).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 "));
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.ends_with("\r\nSec-WebSocket-Protocol: patchbay.v1.json\r\n\r\n"));
    let response = String::from_utf8(upgrade.accept(None)).unwrap();
    assert!(response.ends_with("K+xOo=\r\n\r\n"));
}

#[test]
fn other_requests_are_left_to_an_http_server() {
    let plain = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(parse(plain), Handshake::NotUpgrade(Request { method: "GET", target: "/healthz" }));
    let no_connection = head(|lines| {
        lines.remove(3);
    });
    assert!(matches!(parse(&no_connection), Handshake::NotUpgrade(_)));
    let other_upgrade = head(|lines| lines[2] = "Upgrade: h2c".to_owned());
    assert!(matches!(parse(&other_upgrade), Handshake::NotUpgrade(_)));
}

#[test]
fn absolute_targets_are_read() {
    let text = head(|lines| lines[0] = "GET http://chat.example/ws HTTP/1.1".to_owned());
    let Handshake::Upgrade(upgrade) = parse(&text) else { panic!("not an upgrade") };
    assert_eq!((upgrade.path, upgrade.query), ("/ws", None));
}

#[test]
fn wrong_versions_are_told_the_right_one() {
    for version in ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13, 8", "X: y"] {
        let text = head(|lines| version.clone_into(&mut lines[5]));
        assert_eq!(parse(&text), Handshake::Bad(Refusal::VERSION), "{version}");
    }
    let response = String::from_utf8(Refusal::VERSION.response()).unwrap();
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn malformed_handshakes_are_refused() {
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, Edit); 9] = [
        ("method", |lines| lines[0] = "POST /ws HTTP/1.1".to_owned()),
        ("HTTP/1.0", |lines| lines[0] = "GET /ws HTTP/1.0".to_owned()),
        ("target", |lines| lines[0] = "GET ws HTTP/1.1".to_owned()),
        ("no host", |lines| drop(lines.remove(1))),
        ("no key", |lines| drop(lines.remove(4))),
        ("short key", |lines| lines[4] = "Sec-WebSocket-Key: dGhl".to_owned()),
        ("two keys", |lines| lines.push(format!("Sec-WebSocket-Key: {KEY}"))),
        ("body", |lines| lines.push("Content-Length: 5".to_owned())),
        ("space in a name", |lines| lines.push("Na me: x".to_owned())),
    ];
    for (what, edit) in edits {
        assert_eq!(parse(&head(edit)), Handshake::Bad(Refusal::BAD_REQUEST), "{what}");
    }
}

#[test]
fn long_heads_are_refused() {
    let long = head(|lines| lines.push(format!("X: {}", "y".repeat(9000))));
    assert_eq!(parse(&long), Handshake::Bad(Refusal::HEAD_TOO_LARGE));
    assert_eq!(parse(&long[..8192]), Handshake::Bad(Refusal::HEAD_TOO_LARGE));
    let many = head(|lines| lines.extend((0..80).map(|n| format!("X-{n}: y"))));
    assert_eq!(parse(&many), Handshake::Bad(Refusal::HEAD_TOO_LARGE));
}

#[test]
fn a_key_has_one_answer_and_nothing_else_has_any() {
    // RFC 6455, section 1.3.
    assert_eq!(super::accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for bad in ["", "dGhl", "dGhlIHNhbXBsZSBub25jZQ=", "!!!!!!!!!!!!!!!!!!!!!!=="] {
        assert_eq!(super::accept(bad), None, "{bad}");
    }
}
