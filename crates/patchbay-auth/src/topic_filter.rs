//! MQTT topic filters (MQTT 3.1.1 section 4.7) as resources of `mqtt` scopes.
//!
//! What a client asks for may be a filter itself, so the question is not whether a topic matches but whether the
//! granted filter covers everything that the requested one could ever deliver.

/// Tells whether a text is a filter: `#` only as the last level, `#` and `+` only as whole levels.
pub(crate) fn is_valid(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        let valid = match level {
            "#" => is_last,
            "+" => true,
            _ => !level.contains(['#', '+']),
        };
        if !valid {
            return false;
        }
    }
    !filter.is_empty()
}

/// Tells whether `granted` covers every topic that `requested`, a topic or a filter, stands for.
pub(crate) fn covers(granted: &str, requested: &str) -> bool {
    if !is_valid(requested) || reaches_into_system_topics(granted, requested) {
        return false;
    }
    let mut requested = requested.split('/');
    for level in granted.split('/') {
        if level == "#" {
            return true;
        }
        let Some(asked) = requested.next() else { return false };
        let covered = if level == "+" { asked != "#" } else { level == asked };
        if !covered {
            return false;
        }
    }
    requested.next().is_none()
}

/// A wildcard in the first level stands for no topic that begins with `$` (section 4.7.2).
fn reaches_into_system_topics(granted: &str, requested: &str) -> bool {
    requested.starts_with('$') && granted.starts_with(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::{covers, is_valid};

    #[test]
    fn validity_follows_the_standard() {
        for filter in ["#", "+", "a", "a/#", "+/b/+", "/", "a//b", "$SYS/#"] {
            assert!(is_valid(filter), "{filter}");
        }
        for filter in ["", "a#", "#/a", "a/#/b", "a+", "+a/b"] {
            assert!(!is_valid(filter), "{filter}");
        }
    }

    #[test]
    fn covering_is_containment() {
        for (granted, requested) in [
            ("#", "a/b"),
            ("#", "#"),
            ("a/#", "a"),
            ("a/#", "a/#"),
            ("a/#", "a/+/c"),
            ("a/+", "a/+"),
            ("+/b", "a/b"),
        ] {
            assert!(covers(granted, requested), "{granted} {requested}");
        }
        for (granted, requested) in [
            ("a/+", "a/#"),
            ("a/b", "a/+"),
            ("a/b", "a/#"),
            ("+", "#"),
            ("+/b", "#"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
            ("a", "b"),
            ("a/#", "a#"),
        ] {
            assert!(!covers(granted, requested), "{granted} {requested}");
        }
    }
}
