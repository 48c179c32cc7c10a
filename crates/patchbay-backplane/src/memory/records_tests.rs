//! What readers see while the disk is slow, and after it has failed.

use super::*;
use crate::{Backplane, Event, Health, PubSub, memory::store::Store};
use parking_lot::Condvar;
use redb::{StorageBackend, backends::InMemoryBackend};
use std::{io, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const SOON: Duration = Duration::from_secs(10);

/// A disk that stands still or fails when it is told to.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    mood: parking_lot::Mutex<(Mood, usize)>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    Slow,
    Broken,
}

impl State {
    fn set(&self, mood: Mood) {
        self.mood.lock().0 = mood;
        self.changed.notify_all();
    }

    /// Waits until something waits for the disk.
    fn wait_busy(&self) {
        let mut mood = self.mood.lock();
        while mood.1 == 0 {
            assert!(!self.changed.wait_for(&mut mood, SOON).timed_out(), "nothing was written");
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut mood = self.mood.lock();
        mood.1 += 1;
        self.changed.notify_all();
        while mood.0 == Mood::Slow {
            self.changed.wait(&mut mood);
        }
        mood.1 -= 1;
        if mood.0 == Mood::Broken { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        StorageBackend::read(&self.memory, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        StorageBackend::write(&self.memory, offset, data)
    }
}

struct Subject {
    backplane: MemoryBackplane,
    disk: Arc<State>,
    shutdown: CancellationToken,
}

impl Subject {
    fn open() -> Self {
        let disk = Arc::new(State::default());
        let backend = Disk { memory: InMemoryBackend::new(), state: disk.clone() };
        let store = Store::with(redb::Builder::new().create_with_backend(backend).unwrap()).unwrap();
        let shutdown = CancellationToken::new();
        let backplane = MemoryBackplane::serve(store, 64, &TaskTracker::new(), &shutdown).unwrap();
        Self { backplane, disk, shutdown }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.disk.set(Mood::Well);
        self.shutdown.cancel();
    }
}

fn table(kind: &'static str) -> Name {
    Name::new("test", kind, "store")
}

fn put(table: &Name, key: &str, expect: Expect) -> Vec<Change> {
    vec![Change { table: table.clone(), key: key.into(), expect, value: Some("v".into()) }]
}

fn all() -> Scan {
    Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 10 }
}

#[tokio::test]
async fn nothing_is_shown_before_it_is_on_the_disk() {
    let subject = Subject::open();
    let backplane = &subject.backplane;
    let (slow, still) = (table("slow"), table("still"));
    backplane.commit(put(&still, "old", Expect::Absent)).await.unwrap();
    let mut subscriber = backplane.subscriber(8);
    subscriber.subscribe(&slow).await.unwrap();

    subject.disk.set(Mood::Slow);
    let mut commit = backplane.commit(put(&slow, "new", Expect::Absent));
    subject.disk.wait_busy();
    let mut row = backplane.records(&slow, vec!["new".into()]);
    let mut page = backplane.scan(&slow, all());
    let mut revision = backplane.revision(&slow);
    let mut conflict = backplane.commit(put(&slow, "new", Expect::Absent));
    assert!((&mut commit).now_or_never().is_none());
    assert!((&mut row).now_or_never().is_none());
    assert!((&mut page).now_or_never().is_none());
    assert!((&mut revision).now_or_never().is_none());
    assert!((&mut conflict).now_or_never().is_none(), "a conflict tells of what stands there, too");
    assert_eq!(subscriber.try_recv(), None);
    let other = backplane.records(&still, vec!["old".into()]).now_or_never();
    assert!(other.is_some(), "a table that waits for nothing is read at once");

    subject.disk.set(Mood::Well);
    assert_eq!(commit.await.unwrap(), Committed::Done { revision: 2 });
    assert_eq!(row.await.unwrap()[0].as_ref().unwrap().revision, 2);
    assert_eq!(page.await.unwrap().records.len(), 1);
    assert_eq!(revision.await.unwrap(), 2);
    assert_eq!(conflict.await.unwrap(), Committed::Conflict { index: 0 });
    assert!(matches!(subscriber.recv().await, Some(Event::Message(message)) if message.channel == slow));
}

#[tokio::test]
async fn what_the_disk_refused_is_gone_with_all_that_rests_on_it() {
    let subject = Subject::open();
    let backplane = &subject.backplane;
    let table = table("keys");
    backplane.commit(put(&table, "kept", Expect::Absent)).await.unwrap();
    let mut subscriber = backplane.subscriber(8);
    subscriber.subscribe(&table).await.unwrap();

    subject.disk.set(Mood::Slow);
    let lost = backplane.commit(put(&table, "lost", Expect::Absent));
    subject.disk.wait_busy();
    let overwritten = backplane.commit(put(&table, "kept", Expect::Revision(1)));
    let rests_on_it = backplane.commit(put(&table, "lost", Expect::Revision(2)));
    let read = backplane.scan(&table, all());
    subject.disk.set(Mood::Broken);
    for refused in [lost, overwritten, rests_on_it] {
        assert!(matches!(refused.await, Err(BackplaneError::Store(_))));
    }
    assert!(matches!(read.await, Err(BackplaneError::Store(_))));

    assert_eq!(backplane.revision(&table).await.unwrap(), 1);
    let kept = Record { key: "kept".into(), value: "v".into(), revision: 1 };
    let page = backplane.scan(&table, all()).await.unwrap();
    assert_eq!(page, RecordPage { records: vec![kept], more: false });
    assert!(matches!(&*backplane.health().borrow(), Health::Down(_)));
    assert!(backplane.commit(put(&table, "late", Expect::Absent)).await.is_err());
    assert!(backplane.records(&table, vec!["late".into()]).await.unwrap()[0].is_none());
    assert_eq!(subscriber.try_recv(), None, "what was not written is not told");
}

#[tokio::test]
async fn commits_that_rest_on_a_failed_one_are_not_written() {
    let subject = Subject::open();
    let backplane = &subject.backplane;
    let table = table("keys");
    subject.disk.set(Mood::Slow);
    let first = backplane.commit(put(&table, "first", Expect::Absent));
    subject.disk.wait_busy();
    let second = backplane.commit(put(&table, "second", Expect::Absent));
    {
        let mut tables = backplane.0.tables.lock();
        let line = tables.line.clone();
        tables.give_up(&line);
    }
    let third = backplane.commit(put(&table, "third", Expect::Absent));
    subject.disk.set(Mood::Well);
    assert!(first.await.is_ok(), "this disk took it nevertheless");
    assert!(matches!(second.await, Err(BackplaneError::Store(_))));
    assert_eq!(third.await.unwrap(), Committed::Done { revision: 3 });
    let page = backplane.scan(&table, all()).await.unwrap();
    assert_eq!(page.records.iter().map(|row| &*row.key).collect::<Vec<_>>(), ["third"]);
}
