//! What both implementations of tables have in common: which commits are refused, how a page is bounded, and what is
//! published.

use crate::{BackplaneError, Change, Name, Order, RecordsChanged, Scan};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

/// Refuses a commit that cannot be one step: its tables must lie together, and each row has one value afterwards.
pub(crate) fn check(changes: &[Change]) -> Result<(), BackplaneError> {
    let Some(first) = changes.first() else { return Ok(()) };
    let mut rows = HashSet::with_capacity(changes.len());
    for Change { table, key, .. } in changes {
        if (table.service(), table.id()) != (first.table.service(), first.table.id()) {
            let (one, other) = (&first.table, table);
            return Err(BackplaneError::Refused(format!(
                "one commit changes {one} and {other}: its tables must have the same service and id"
            )));
        }
        if !rows.insert((table, key)) {
            return Err(BackplaneError::Refused(format!(
                "one commit changes the row {key} of {table} twice"
            )));
        }
    }
    Ok(())
}

/// The keys that a commit changes, by table and in the order of its changes.
pub(crate) fn changed_keys(changes: &[Change]) -> BTreeMap<Name, Vec<String>> {
    let mut by_table: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for Change { table, key, .. } in changes {
        by_table.entry(table.clone()).or_default().push(key.clone());
    }
    by_table
}

/// What is published when a table has changed.
pub(crate) fn event(revision: u64, keys: Vec<String>) -> Bytes {
    let event = RecordsChanged { revision, keys };
    serde_json::to_vec(&event).expect("numbers and text are JSON").into()
}

/// Where the keys of a scan lie in byte order; `None` when there cannot be any.
pub(crate) fn bounds(scan: &Scan) -> Option<(Bound<String>, Bound<String>)> {
    let prefix = scan.prefix.clone();
    let end = end_of(&prefix);
    let (lower, upper) = match (scan.order, scan.after.clone()) {
        (_, None) => (Bound::Included(prefix), end),
        (Order::Ascending, Some(after)) if after < prefix => (Bound::Included(prefix), end),
        (Order::Ascending, Some(after)) => (Bound::Excluded(after), end),
        (Order::Descending, Some(after)) => {
            let is_before_end = end.as_ref().is_none_or(|end| after < *end);
            (Bound::Included(prefix), if is_before_end { Some(after) } else { end })
        }
    };
    let (Bound::Included(from) | Bound::Excluded(from)) = &lower else { return None };
    if upper.as_ref().is_some_and(|upper| from >= upper) {
        return None;
    }
    Some((lower, upper.map_or(Bound::Unbounded, Bound::Excluded)))
}

/// The smallest text that is greater than all that start with `prefix`. Byte order and the order of characters are
/// the same in UTF-8.
fn end_of(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expect;

    fn change(kind: &'static str, id: &str, key: &str) -> Change {
        Change { table: Name::new("test", kind, id), key: key.into(), expect: Expect::Anything, value: None }
    }

    fn scan(prefix: &str, after: Option<&str>, order: Order) -> Scan {
        Scan { prefix: prefix.into(), after: after.map(str::to_owned), order, limit: 1 }
    }

    #[test]
    fn commits_over_several_ids_and_double_changes_are_refused() {
        assert!(check(&[]).is_ok());
        assert!(check(&[change("a", "x", "k"), change("b", "x", "k")]).is_ok());
        let apart = check(&[change("a", "x", "k"), change("a", "y", "k")]).unwrap_err().to_string();
        assert!(apart.contains("same service and id"), "{apart}");
        let twice = check(&[change("a", "x", "k"), change("a", "x", "k")]).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn the_end_of_a_prefix_is_greater_than_all_that_start_with_it() {
        assert_eq!(end_of(""), None);
        assert_eq!(end_of("a/").as_deref(), Some("a0"));
        assert_eq!(end_of("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(end_of("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end_of("\u{10ffff}"), None);
    }

    #[test]
    fn bounds_that_hold_nothing_are_told() {
        assert_eq!(bounds(&scan("b", Some("c"), Order::Ascending)), None);
        assert_eq!(bounds(&scan("b", Some("b"), Order::Descending)), None);
        assert_eq!(bounds(&scan("b", Some("a"), Order::Descending)), None);
        let all = (Bound::Included("b".into()), Bound::Excluded("c".into()));
        assert_eq!(bounds(&scan("b", Some("a"), Order::Ascending)), Some(all.clone()));
        assert_eq!(bounds(&scan("b", Some("z"), Order::Descending)), Some(all));
    }
}
