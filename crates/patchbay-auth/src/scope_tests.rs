//! What scopes match, and above all what they do not.

use super::{Scope, ScopeError, glob_matches};
use proptest::prelude::*;

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

#[test]
fn parses_and_prints() {
    for text in
        ["admin", "chat:publish:room/lobby", "media:publish:cam-*", "mqtt:subscribe:home/#", "a:b:c:d"]
    {
        assert_eq!(scope(text).to_string(), text);
    }
}

#[test]
fn refuses_what_is_no_scope() {
    assert!(matches!("".parse::<Scope>(), Err(ScopeError::Shape(_))));
    assert!(matches!("chat:publish".parse::<Scope>(), Err(ScopeError::Shape(_))));
    assert!(matches!("Admin".parse::<Scope>(), Err(ScopeError::Shape(_))));
    assert!(matches!("*:publish:x".parse::<Scope>(), Err(ScopeError::Word(_))));
    assert!(matches!("chat:*:x".parse::<Scope>(), Err(ScopeError::Word(_))));
    assert!(matches!(":publish:x".parse::<Scope>(), Err(ScopeError::Word(_))));
    assert!(matches!("chat:publish:".parse::<Scope>(), Err(ScopeError::Resource(_))));
    assert!(matches!("chat:publish:a b".parse::<Scope>(), Err(ScopeError::Resource(_))));
    assert!(matches!("mqtt:subscribe:a/#/b".parse::<Scope>(), Err(ScopeError::Resource(_))));
    assert_eq!("chat:publish:*********".parse::<Scope>(), Err(ScopeError::TooLong));
    assert_eq!(format!("chat:publish:{}", "x".repeat(300)).parse::<Scope>(), Err(ScopeError::TooLong));
}

#[test]
fn grants_exactly_what_it_says() {
    let lobby = scope("chat:publish:room/lobby");
    assert!(lobby.allows("chat", "publish", "room/lobby"));
    for (service, action, resource) in [
        ("chat", "publish", "room/lobby2"),
        ("chat", "publish", "room/lobb"),
        ("chat", "publish", "xroom/lobby"),
        ("chat", "publish", "*"),
        ("chat", "subscribe", "room/lobby"),
        ("chats", "publish", "room/lobby"),
    ] {
        assert!(!lobby.allows(service, action, resource), "{service}:{action}:{resource}");
    }
    assert!(lobby.allows_somewhere("chat", "publish"));
    assert!(!lobby.allows_somewhere("chat", "subscribe"));
}

#[test]
fn globs_stand_for_any_run() {
    let scope = scope("files:read:home/*/notes*.txt");
    assert!(scope.allows("files", "read", "home/ada/notes.txt"));
    assert!(scope.allows("files", "read", "home/ada/b/notes-2.txt"));
    assert!(!scope.allows("files", "read", "home/notes.txt"));
    assert!(!scope.allows("files", "read", "home/ada/notes.txt.exe"));
}

#[test]
fn admin_grants_everything() {
    assert!(Scope::Admin.allows("keys", "use", "app-1"));
    assert!(Scope::Admin.allows_somewhere("keys", "use"));
}

#[test]
fn topic_filters_only_for_mqtt() {
    assert!(scope("mqtt:subscribe:home/#").allows("mqtt", "subscribe", "home/+/light"));
    assert!(!scope("mqtt:subscribe:home/*").allows("mqtt", "subscribe", "home/light"));
    assert!(!scope("chat:publish:home/#").allows("chat", "publish", "home/light"));
}

#[test]
fn a_scope_covers_what_it_allows_and_no_more() {
    for (ours, theirs) in [
        ("admin", "admin"),
        ("admin", "chat:publish:*"),
        ("chat:publish:room/*", "chat:publish:room/lobby"),
        ("chat:publish:room/*", "chat:publish:room/*"),
        ("chat:publish:room/*", "chat:publish:room/team-*"),
        ("mqtt:subscribe:home/#", "mqtt:subscribe:home/+/light"),
        ("mqtt:subscribe:home/#", "mqtt:subscribe:home"),
    ] {
        assert!(scope(ours).covers(&scope(theirs)), "{ours} covers {theirs}");
    }
    for (ours, theirs) in [
        ("chat:publish:*", "admin"),
        ("chat:publish:*", "chat:subscribe:x"),
        ("chat:publish:*", "media:publish:x"),
        ("chat:publish:room/lobby", "chat:publish:room/*"),
        ("chat:publish:room/team-*", "chat:publish:room/*"),
        ("mqtt:subscribe:home/+", "mqtt:subscribe:home/#"),
        ("mqtt:subscribe:#", "mqtt:subscribe:$SYS/#"),
        ("mqtt:subscribe:home/#", "mqtt:publish:home/x"),
    ] {
        assert!(!scope(ours).covers(&scope(theirs)), "{ours} does not cover {theirs}");
    }
}

/// The definition, too slow for use.
fn glob_by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|taken| glob_by_definition(rest, &text[taken..])),
        Some((byte, rest)) => text.first() == Some(byte) && glob_by_definition(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matches_neither_more_nor_less_than_the_definition(pattern in "[ab/*]{0,8}", text in "[ab/*]{0,10}") {
        let expected = glob_by_definition(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(glob_matches(pattern.as_bytes(), text.as_bytes()), expected);
    }

    #[test]
    fn whatever_a_covered_scope_allows_is_allowed(ours in "[ab/*]{1,6}", theirs in "[ab/*]{1,6}", text in "[ab/*]{0,8}") {
        let (ours, theirs) = (scope(&format!("files:read:{ours}")), scope(&format!("files:read:{theirs}")));
        if ours.covers(&theirs) && theirs.allows("files", "read", &text) {
            prop_assert!(ours.allows("files", "read", &text));
        }
        prop_assert!(ours.covers(&ours) && Scope::Admin.covers(&ours) && !ours.covers(&Scope::Admin));
    }

    #[test]
    fn topic_filters_cover_likewise(
        ours in "(\\+|#|a|b|\\$a)(/(\\+|a|b)){0,3}(/#)?",
        theirs in "(\\+|#|a|b|\\$a)(/(\\+|a|b)){0,3}(/#)?",
        topic in "(a|b|\\$a|\\+|#)(/(a|b|\\+)){0,4}(/#)?",
    ) {
        let parse = |filter: &str| format!("mqtt:subscribe:{filter}").parse::<Scope>();
        let (Ok(ours), Ok(theirs)) = (parse(&ours), parse(&theirs)) else { return Ok(()) };
        if ours.covers(&theirs) && theirs.allows("mqtt", "subscribe", &topic) {
            prop_assert!(ours.allows("mqtt", "subscribe", &topic));
        }
        prop_assert!(ours.covers(&ours));
    }

    #[test]
    fn a_scope_without_a_star_matches_itself_alone(resource in "[a-z/]{1,12}", other in "[a-z/]{1,12}") {
        let scope = scope(&format!("chat:publish:{resource}"));
        prop_assert_eq!(scope.allows("chat", "publish", &other), resource == other);
    }

    #[test]
    fn parsing_never_panics_and_round_trips(text in "\\PC{0,40}") {
        if let Ok(scope) = text.parse::<Scope>() {
            prop_assert_eq!(scope.to_string(), text);
        }
    }
}
