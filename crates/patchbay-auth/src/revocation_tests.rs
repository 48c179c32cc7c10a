//! What a revocation hits, for how long, and how many there may be.

use super::{CAPACITY, Revocation, Revocations, Revoked};
use crate::Identity;
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const END: u64 = NOW + 900;

fn identity(subject: &str, token: &str, session: Option<&str>, issued_at_ms: u64) -> Identity {
    Identity {
        subject: subject.into(),
        token_id: Some(token.into()),
        session: session.map(Into::into),
        issued_at_ms,
        ..Identity::guest(&[])
    }
}

fn ada(issued_at_ms: u64) -> Identity {
    identity("ada", "t1", Some("s1"), issued_at_ms)
}

#[test]
fn a_token_a_session_and_a_subject_are_hit_and_nobody_else() {
    let at = NOW * 1000;
    for (revocation, others) in [
        (Revocation::token("t1", END), identity("ada", "t2", Some("s1"), at)),
        (Revocation::session("s1", END), identity("ada", "t1", Some("s2"), at)),
        (Revocation::session("s1", END), identity("ada", "t1", None, at)),
        (Revocation::subject("ada", at, END), identity("adam", "t1", Some("s1"), at)),
        // The same text in another place is another thing.
        (Revocation::token("s1", END), identity("t1", "ada", Some("s1"), at)),
    ] {
        let mut revocations = Revocations::default();
        let hits_ada = revocation.what != Revoked::Token { id: "s1".into() };
        assert!(revocations.add(revocation.clone(), NOW));
        assert_eq!(revocations.hit(&ada(at)), hits_ada, "{revocation:?}");
        assert!(!revocations.hit(&others), "{revocation:?} hits {others:?}");
    }
}

#[test]
fn whoever_signs_in_again_within_the_second_is_not_hit() {
    let mut revocations = Revocations::default();
    revocations.add(Revocation::subject("ada", NOW * 1000 + 400, END), NOW);
    assert!(revocations.hit(&ada(NOW * 1000)), "one that tells only seconds counts from their beginning");
    assert!(revocations.hit(&ada(NOW * 1000 + 399)) && revocations.hit(&ada(NOW * 1000 + 400)));
    assert!(!revocations.hit(&ada(NOW * 1000 + 401)));
}

#[test]
fn an_older_one_changes_nothing_and_a_newer_one_does() {
    let mut revocations = Revocations::default();
    assert!(revocations.add(Revocation::subject("ada", 2_000, END), NOW));
    assert!(!revocations.add(Revocation::subject("ada", 1_000, END), NOW));
    assert!(!revocations.add(Revocation::subject("ada", 2_000, END), NOW));
    assert!(revocations.hit(&ada(2_000)), "an older time does not take the newer one back");
    assert!(revocations.add(Revocation::subject("ada", 3_000, END + 1), NOW));
    assert!(revocations.hit(&ada(3_000)));
    assert_eq!((revocations.entries.len(), revocations.order.len()), (1, 1));
}

#[test]
fn it_is_forgotten_when_no_token_can_be_hit() {
    let mut revocations = Revocations::default();
    assert!(!revocations.add(Revocation::token("t1", NOW - 60), NOW), "over before it came");
    assert!(revocations.add(Revocation::token("t1", NOW - 59), NOW));
    assert!(revocations.hit(&ada(0)), "within the leeway of its end");
    revocations.add(Revocation::token("t2", END), NOW + 1);
    assert_eq!((revocations.entries.len(), revocations.order.len()), (1, 1));
    assert!(!revocations.hit(&ada(0)));
}

#[test]
fn those_that_end_first_make_room() {
    let mut revocations = Revocations::default();
    let capacity = u64::try_from(CAPACITY).unwrap();
    for n in 0..=capacity {
        revocations.add(Revocation::token(format!("t{n}"), END + n), NOW);
    }
    assert_eq!((revocations.entries.len(), revocations.order.len()), (CAPACITY, CAPACITY));
    assert!(!revocations.hit(&identity("ada", "t0", None, 0)));
    assert!(revocations.hit(&identity("ada", "t1", None, 0)));
    assert!(revocations.hit(&identity("ada", &format!("t{capacity}"), None, 0)));
}

#[test]
fn the_format_is_fixed() {
    for (revocation, text) in [
        (Revocation::token("t", 5), json!({"type": "token", "id": "t", "until": 5})),
        (Revocation::session("s", 5), json!({"type": "session", "id": "s", "until": 5})),
        (
            Revocation::subject("ada", 7, 5),
            json!({"type": "subject", "subject": "ada", "before_ms": 7, "until": 5}),
        ),
    ] {
        assert_eq!(serde_json::to_value(&revocation).unwrap(), text);
        assert_eq!(Revocation::parse(text.to_string().as_bytes()), Some(revocation));
    }
    let long = json!({"type": "token", "id": "x".repeat(129), "until": 5}).to_string();
    for text in
        ["", "{}", "[1]", r#"{"type":"planet","id":"x","until":5}"#, r#"{"type":"token","id":"x"}"#, &long]
    {
        assert_eq!(Revocation::parse(text.as_bytes()), None, "{text}");
    }
}
