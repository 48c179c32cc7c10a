use super::*;
use proptest::prelude::*;

#[test]
fn the_messages_of_the_page_are_read() {
    let offer = r#"{"type":"offer","sdp":"v=0\r\n"}"#;
    assert_eq!(read(offer), Ok(Incoming::Offer("v=0\r\n".to_owned())));
    for candidate in [
        r#"{"type":"ice","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"}}"#,
        r#"{"type":"ice","candidate":{"candidate":"","sdpMid":null,"sdpMLineIndex":null}}"#,
        r#"{"type":"ice","candidate":null}"#,
        r#"{"type":"ice"}"#,
    ] {
        assert_eq!(read(candidate), Ok(Incoming::Candidate), "{candidate}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, error) in [
        ("", MessageError::NotJson),
        ("offer", MessageError::NotJson),
        ("[]", MessageError::NotJson),
        ("{}", MessageError::NoType),
        (r#"{"type":1}"#, MessageError::NoType),
        (r#"{"type":"answer"}"#, MessageError::UnknownType("answer".to_owned())),
        (r#"{"type":"offer"}"#, MessageError::NoSdp),
        (r#"{"type":"offer","sdp":{"sdp":"v=0"}}"#, MessageError::NoSdp),
        (r#"{"type":"ice","candidate":"candidate:1"}"#, MessageError::BadCandidate),
        (r#"{"type":"ice","candidate":{}}"#, MessageError::BadCandidate),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    let long = format!(r#"{{"type":"{}"}}"#, "ä".repeat(5000));
    assert_eq!(read(&long), Err(MessageError::UnknownType("ä".repeat(REPEATED))));
}

#[test]
fn what_a_page_is_sent_has_the_form_that_browsers_take() {
    assert_eq!(write(&Outgoing::Answer { sdp: "v=0\r\n" }), r#"{"type":"answer","sdp":"v=0\r\n"}"#);
    assert_eq!(write(&Outgoing::Error { message: "no" }), r#"{"type":"error","message":"no"}"#);
    let answer = "v=0\r\ns=-\r\nm=audio 9 X 0\r\na=mid:a\r\na=candidate:1 1 udp 1 192.0.2.1 8189 typ host\r\n\
                  a=candidate:2 1 tcp 1 192.0.2.1 8189 typ host tcptype passive\r\na=end-of-candidates\r\n\
                  m=video 9 X 96\r\na=candidate:3 1 udp 1 ::1 8189 typ host\r\na=mid:v\r\n";
    let written: Vec<String> =
        candidates(answer).into_iter().map(|candidate| write(&Outgoing::Ice { candidate })).collect();
    assert_eq!(
        written,
        [
            r#"{"type":"ice","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 8189 typ host","sdpMid":"a","sdpMLineIndex":0}}"#,
            r#"{"type":"ice","candidate":{"candidate":"candidate:2 1 tcp 1 192.0.2.1 8189 typ host tcptype passive","sdpMid":"a","sdpMLineIndex":0}}"#,
            r#"{"type":"ice","candidate":{"candidate":"candidate:3 1 udp 1 ::1 8189 typ host","sdpMid":"v","sdpMLineIndex":1}}"#,
        ]
    );
    assert_eq!(candidates(""), []);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", kind in "offer|ice|x") {
        drop(read(&text));
        drop(read(&format!(r#"{{"type":"{kind}","candidate":{text}}}"#)));
        drop(candidates(&text));
    }
}
