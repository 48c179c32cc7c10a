//! Which `PATCH` requests meet the session that they mean: `If-Match` and entity tags (RFC 9110, section 13.1.1; RFC 9725, section 4.3.1).

/// Why a request is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmet {
    /// 428.
    #[error("send `if-match` with the entity tag of the last answer, or with `*` to restart")]
    Missing,
    /// 412.
    #[error("this is not the entity tag of the current ICE session, which a restart has changed")]
    Stale,
}

/// Whether `If-Match` names the current entity tag, which is quoted and strong.
pub(super) fn check(if_match: &[String], current: &str) -> Result<(), Unmet> {
    let mut found = false;
    for tag in if_match.iter().flat_map(|value| value.split(',')).map(str::trim) {
        if tag == "*" || tag == current {
            return Ok(());
        }
        found = true;
    }
    Err(if found { Unmet::Stale } else { Unmet::Missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_session_is_changed() {
        let checked = |headers: &[&str]| {
            check(&headers.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>(), "\"abc\"")
        };
        assert_eq!(checked(&["\"abc\""]), Ok(()));
        assert_eq!(checked(&["*"]), Ok(()));
        assert_eq!(checked(&["\"x\", \"abc\""]), Ok(()));
        assert_eq!(checked(&["\"x\"", "\"abc\""]), Ok(()));
        assert_eq!(checked(&[]), Err(Unmet::Missing));
        // Weak tags never match strongly, and a tag is quoted.
        for stale in ["\"x\"", "W/\"abc\"", "abc", ""] {
            assert_eq!(checked(&[stale]), Err(Unmet::Stale), "{stale}");
        }
    }
}
