//! Tables of rows.

use super::{Subject, next_message};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use patchbay_backplane::{
    BackplaneError, Change, Committed, Expect, Name, Order, Record, RecordPage, RecordsChanged, Scan,
    SharedBackplane,
};
use tokio::task::JoinSet;

pub(crate) fn table(kind: &'static str) -> Name {
    Name::new("test", kind, "store")
}

pub(crate) fn put(table: &Name, key: impl Into<String>, expect: Expect, value: impl Into<Bytes>) -> Change {
    Change { table: table.clone(), key: key.into(), expect, value: Some(value.into()) }
}

fn delete(table: &Name, key: &str, expect: Expect) -> Change {
    Change { table: table.clone(), key: key.into(), expect, value: None }
}

fn scan(prefix: &str, after: Option<&str>, order: Order, limit: usize) -> Scan {
    Scan { prefix: prefix.into(), after: after.map(str::to_owned), order, limit }
}

pub(crate) async fn done(backplane: &SharedBackplane, changes: Vec<Change>) -> Result<u64> {
    match backplane.commit(changes).await? {
        Committed::Done { revision } => Ok(revision),
        Committed::Conflict { index } => anyhow::bail!("change {index} conflicts"),
    }
}

pub(crate) async fn one(backplane: &SharedBackplane, table: &Name, key: &str) -> Result<Option<Record>> {
    backplane.records(table, vec![key.to_owned()]).await?.pop().context("one answer")
}

fn keys(page: &RecordPage) -> Vec<&str> {
    page.records.iter().map(|record| &*record.key).collect()
}

pub(crate) async fn a_commit_is_whole_or_nothing(subject: &Subject) -> Result<()> {
    let (first, second) = (table("first"), table("second"));
    let Subject { one: a, two: b, .. } = subject;
    let revision = done(a, vec![put(&first, "k", Expect::Absent, "1")]).await?;
    ensure!(a.revision(&second).await? == 0, "nobody wrote to it");
    let changes = |expect| {
        vec![
            put(&second, "x", Expect::Absent, "2"),
            put(&second, "y", Expect::Anything, "2"),
            delete(&first, "k", expect),
        ]
    };
    let conflict = b.commit(changes(Expect::Revision(revision + 1))).await?;
    ensure!(conflict == Committed::Conflict { index: 2 }, "{conflict:?}");
    ensure!(a.revision(&second).await? == 0 && a.revision(&first).await? == revision);
    ensure!(one(a, &second, "x").await?.is_none() && one(a, &first, "k").await?.is_some());

    let later = done(b, changes(Expect::Revision(revision))).await?;
    ensure!(later > revision);
    ensure!(a.revision(&first).await? == later && a.revision(&second).await? == later);
    let row = one(a, &second, "x").await?.context("it was written")?;
    ensure!(row == Record { key: "x".into(), value: "2".into(), revision: later }, "{row:?}");
    ensure!(one(a, &first, "k").await?.is_none());
    Ok(())
}

pub(crate) async fn each_expectation_is_checked(subject: &Subject) -> Result<()> {
    let table = table("expect");
    let backplane = &subject.one;
    let try_one = |expect| subject.two.commit(vec![put(&table, "k", expect, "v")]);
    let refused = Committed::Conflict { index: 0 };
    ensure!(try_one(Expect::Revision(1)).await? == refused, "there is no row");
    let Committed::Done { revision: first } = try_one(Expect::Absent).await? else {
        anyhow::bail!("nothing stood there");
    };
    ensure!(try_one(Expect::Absent).await? == refused);
    ensure!(try_one(Expect::Revision(first + 1)).await? == refused);
    let Committed::Done { revision: second } = try_one(Expect::Revision(first)).await? else {
        anyhow::bail!("that revision stood there");
    };
    ensure!(try_one(Expect::Revision(first)).await? == refused);
    ensure!(matches!(try_one(Expect::Anything).await?, Committed::Done { revision } if revision > second));
    ensure!(backplane.commit(vec![delete(&table, "k", Expect::Absent)]).await? == refused);
    ensure!(backplane.commit(Vec::new()).await? == Committed::Done { revision: 0 });
    done(backplane, vec![delete(&table, "k", Expect::Anything)]).await?;
    done(backplane, vec![delete(&table, "k", Expect::Absent)]).await?;
    Ok(())
}

pub(crate) async fn commits_that_cannot_be_one_step_are_refused(subject: &Subject) -> Result<()> {
    let (here, there) = (table("here"), Name::new("test", "here", "elsewhere"));
    let any = Expect::Anything;
    let apart = vec![put(&here, "k", any, "v"), put(&there, "k", any, "v")];
    ensure!(matches!(subject.one.commit(apart).await, Err(BackplaneError::Refused(_))));
    let twice = vec![put(&here, "k", any, "v"), put(&here, "k", any, "w")];
    ensure!(matches!(subject.one.commit(twice).await, Err(BackplaneError::Refused(_))));
    ensure!(subject.two.revision(&here).await? == 0);
    Ok(())
}

pub(crate) async fn a_row_made_again_has_a_new_revision(subject: &Subject) -> Result<()> {
    let (table, other) = (table("again"), table("other"));
    let first = done(&subject.one, vec![put(&table, "k", Expect::Absent, "a")]).await?;
    let gone = done(&subject.two, vec![delete(&table, "k", Expect::Revision(first))]).await?;
    ensure!(gone > first && subject.one.revision(&table).await? == gone);
    let again = done(&subject.one, vec![put(&table, "k", Expect::Absent, "a")]).await?;
    let elsewhere = done(&subject.one, vec![put(&other, "k", Expect::Absent, "a")]).await?;
    ensure!(again > gone && elsewhere > again, "all tables of an id count together");
    let late = subject.two.commit(vec![put(&table, "k", Expect::Revision(first), "b")]).await?;
    ensure!(late == Committed::Conflict { index: 0 });
    Ok(())
}

pub(crate) async fn rows_are_ordered_byte_by_byte(subject: &Subject) -> Result<()> {
    let table = table("order");
    let sorted =
        ["", "a", "a\0", "a/1", "a/10", "a/2", "a/~", "a/\u{7f}", "a/é", "a/中", "a/😀", "a0", "b", "é"];
    let rows = sorted.iter().rev().map(|key| put(&table, *key, Expect::Absent, *key)).collect();
    done(&subject.one, rows).await?;
    let all = subject.two.scan(&table, scan("", None, Order::Ascending, 100)).await?;
    ensure!(keys(&all) == sorted && !all.more, "{:?}", keys(&all));
    ensure!(all.records.iter().all(|row| row.value == row.key), "each row has its own value");
    let all = subject.two.scan(&table, scan("", None, Order::Descending, 100)).await?;
    ensure!(keys(&all).into_iter().rev().eq(sorted) && !all.more);

    let cases = [
        (scan("a/", None, Order::Ascending, 3), vec!["a/1", "a/10", "a/2"], true),
        (scan("a/", Some("a/2"), Order::Ascending, 3), vec!["a/~", "a/\u{7f}", "a/é"], true),
        (scan("a/", Some("a/é"), Order::Ascending, 3), vec!["a/中", "a/😀"], false),
        (scan("a/", Some("a/zz"), Order::Ascending, 1), vec!["a/~"], true),
        (scan("a/", Some("A"), Order::Ascending, 1), vec!["a/1"], true),
        (scan("a/", Some("b"), Order::Ascending, 9), vec![], false),
        (scan("a/", None, Order::Descending, 2), vec!["a/😀", "a/中"], true),
        (scan("a/", Some("a/10"), Order::Descending, 2), vec!["a/1"], false),
        (scan("a/", Some("z"), Order::Descending, 1), vec!["a/😀"], true),
        (scan("a/", Some("a"), Order::Descending, 9), vec![], false),
        (scan("a/", Some("a/"), Order::Ascending, 0), vec![], true),
        (scan("nothing", None, Order::Ascending, 9), vec![], false),
        (scan("", Some("b"), Order::Ascending, usize::MAX), vec!["é"], false),
    ];
    for (asked, found, more) in cases {
        let page = subject.one.scan(&table, asked.clone()).await?;
        ensure!(keys(&page) == found && page.more == more, "{asked:?}: {:?}, {}", keys(&page), page.more);
    }
    Ok(())
}

pub(crate) async fn rows_are_read_in_the_order_asked(subject: &Subject) -> Result<()> {
    let table = table("read");
    let (binary, empty) = (Bytes::from_static(&[0, b':', 255, b'\n', 13]), Bytes::new());
    let big: Bytes = (0..=u8::MAX).cycle().take(1 << 20).collect::<Vec<u8>>().into();
    let rows = [("b", &binary), ("e", &empty), ("big", &big), ("é:1", &binary)];
    let changes = rows.map(|(key, value)| put(&table, key, Expect::Absent, value.clone()));
    let revision = done(&subject.one, changes.into()).await?;
    let asked = ["é:1", "none", "big", "e", "b", "b"];
    let read = subject.two.records(&table, asked.map(str::to_owned).into()).await?;
    let found = |key: &str| rows.iter().find(|(other, _)| *other == key).map(|(_, value)| (*value).clone());
    let expected: Vec<Option<Record>> = asked
        .iter()
        .map(|key| Some(Record { key: (*key).to_owned(), value: found(key)?, revision }))
        .collect();
    ensure!(read == expected, "rows differ");
    ensure!(subject.two.records(&table, Vec::new()).await?.is_empty());
    Ok(())
}

pub(crate) async fn thousands_of_rows_are_read_page_by_page(subject: &Subject) -> Result<()> {
    const ROWS: usize = 5000;
    let table = table("many");
    let all: Vec<String> = (0..ROWS).map(|number| format!("row/{number:06}")).collect();
    let row = |key: &String| put(&table, key.as_str(), Expect::Absent, key.clone());
    done(&subject.one, all.iter().map(row).collect()).await?;
    for order in [Order::Ascending, Order::Descending] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = subject.two.scan(&table, scan("row/", after.as_deref(), order, 700)).await?;
            found.extend(page.records.into_iter().map(|record| record.key));
            after = found.last().cloned();
            if !page.more {
                break;
            }
        }
        if order == Order::Descending {
            found.reverse();
        }
        ensure!(found == all, "{order:?}: {} rows", found.len());
    }
    let whole = subject.two.scan(&table, scan("", None, Order::Ascending, ROWS)).await?;
    ensure!(whole.records.len() == ROWS && !whole.more);
    let asked = subject.two.records(&table, all.clone()).await?;
    ensure!(asked.into_iter().flatten().count() == ROWS);
    Ok(())
}

pub(crate) async fn each_commit_is_told_once_on_each_table(subject: &Subject) -> Result<()> {
    let (first, second, still) = (table("told"), table("too"), table("still"));
    let mut subscriber = subject.two.subscriber(64);
    for channel in [&first, &second, &still] {
        subscriber.subscribe(channel).await?;
    }
    let both = vec![
        put(&first, "b\"", Expect::Absent, "v"),
        put(&second, "é", Expect::Absent, "v"),
        put(&first, "a", Expect::Absent, "v"),
    ];
    let one = done(&subject.one, both.clone()).await?;
    ensure!(matches!(subject.one.commit(both).await?, Committed::Conflict { index: 0 }));
    let two = done(&subject.one, vec![delete(&second, "é", Expect::Revision(one))]).await?;
    let end = done(&subject.one, vec![put(&still, "end", Expect::Absent, "v")]).await?;

    let expected = [
        (&first, one, vec!["b\"", "a"]),
        (&second, one, vec!["é"]),
        (&second, two, vec!["é"]),
        (&still, end, vec!["end"]),
    ];
    for (channel, revision, keys) in expected {
        let message = next_message(&mut subscriber).await?;
        let changed = RecordsChanged::parse(&message.payload).context("it is JSON")?;
        ensure!(message.channel == *channel && message.position.is_none(), "{message:?}");
        ensure!(changed == RecordsChanged { revision, keys: keys.iter().map(|key| (*key).into()).collect() });
    }
    ensure!(subscriber.try_recv().is_none());
    Ok(())
}

pub(crate) async fn concurrent_increments_lose_nothing(subject: &Subject) -> Result<()> {
    const TASKS: usize = 50;
    const EACH: usize = 4;
    let table = table("count");
    done(&subject.one, vec![put(&table, "n", Expect::Absent, "0")]).await?;
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let backplane = if number.is_multiple_of(2) { &subject.one } else { &subject.two };
        let (backplane, table) = (backplane.clone(), table.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                increment(&backplane, &table).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let row = one(&subject.two, &table, "n").await?.context("it stands there")?;
    ensure!(row.value == (TASKS * EACH).to_string(), "{row:?}");
    Ok(())
}

async fn increment(backplane: &SharedBackplane, table: &Name) -> Result<()> {
    loop {
        let row = one(backplane, table, "n").await?.context("it stands there")?;
        let next = std::str::from_utf8(&row.value)?.parse::<usize>()? + 1;
        let change = put(table, "n", Expect::Revision(row.revision), next.to_string());
        if matches!(backplane.commit(vec![change]).await?, Committed::Done { .. }) {
            return Ok(());
        }
    }
}
