use super::*;
use patchbay_backplane::{Cursor, MemoryBackplane, Position, Streams};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first moment of the clock: 2027-01-15T08:00:00Z.
const START: u64 = 1_800_000_000_000;

fn events() -> (Events, Arc<MemoryBackplane>) {
    let backplane = Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
    let shared: SharedBackplane = backplane.clone();
    let events = Events::with(shared, Clock::manual(START), Ids::seeded(1), "/patchbay/crypto-service/one");
    (events, backplane)
}

fn rotated(events: &Events, version: u32) -> Event {
    events.event(EventType::KeyRotated, "k", &json!({"key": "k", "version": version}))
}

async fn all(events: &Events) -> Vec<Placed> {
    events.reader().page(Cursor::After(0), 1000).await.unwrap().events
}

async fn next(follower: &mut Follower) -> Followed {
    let next = tokio::time::timeout(Duration::from_secs(10), follower.next());
    next.await.expect("the follower is told something").unwrap()
}

fn version(followed: &Followed) -> u64 {
    let Followed::Event(placed) = followed else { panic!("{followed:?}") };
    placed.event.data["version"].as_u64().unwrap()
}

#[tokio::test]
async fn an_event_is_written_as_cloudevents_says() {
    let (events, backplane) = events();
    events.emit(&rotated(&events, 2)).await.unwrap();
    let page = backplane.read(&stream(), Cursor::After(0), 10).await.unwrap();
    let written: serde_json::Value = serde_json::from_slice(&page.entries[0].payload).unwrap();
    let id = written["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        written,
        json!({
            "specversion": "1.0",
            "id": id,
            "source": "/patchbay/crypto-service/one",
            "type": "key.rotated",
            "subject": "k",
            "time": "2027-01-15T08:00:00Z",
            "datacontenttype": "application/json",
            "data": {"key": "k", "version": 2},
        })
    );
    let read = all(&events).await;
    assert_eq!(read[0].event.kind, EventType::KeyRotated.word());
    assert_eq!(read[0].event.time.as_millisecond(), i64::try_from(START).unwrap());
}

#[tokio::test]
async fn one_id_is_in_the_stream_once() {
    let (events, _backplane) = events();
    let event = rotated(&events, 2);
    let first = events.emit(&event).await.unwrap();
    let again = events.emit(&event).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.position, again.position);
    assert_eq!(all(&events).await.len(), 1);
    events.emit(&rotated(&events, 2)).await.unwrap();
    assert_eq!(all(&events).await.len(), 2, "another event has another id");
}

#[tokio::test]
async fn what_is_too_large_or_nameless_is_refused() {
    let (events, _backplane) = events();
    let large = events.event(EventType::FileUploaded, "f", &"x".repeat(MAX_SIZE));
    assert!(matches!(events.emit(&large).await, Err(EventError::TooLarge { size }) if size > MAX_SIZE));
    for bad in ["", "a\nb", &"x".repeat(event::MAX_WORD + 1)] {
        let event = events.event(EventType::FileUploaded, bad, &1);
        assert!(matches!(events.emit(&event).await, Err(EventError::Word("subject"))), "{bad:?}");
    }
    let unnamed = Event::new("", EventType::FileUploaded, "f", START, &1);
    assert!(matches!(events.emit(&unnamed).await, Err(EventError::Word("id"))));
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let unwritable = events.event(EventType::FileUploaded, "f", &map);
    let refused = events.emit(&unwritable).await.unwrap_err();
    assert!(matches!(refused, EventError::Data(_)) && !refused.is_temporary(), "{refused}");
    assert!(all(&events).await.is_empty());
}

#[tokio::test]
async fn the_oldest_go_first() {
    let (events, _backplane) = events();
    let events = events.retain(Retention { max_len: 3, max_age: MAX_AGE });
    for version in 1..=5 {
        events.emit(&rotated(&events, version)).await.unwrap();
    }
    let offsets = |page: EventPage| page.events.iter().map(|placed| placed.offset).collect::<Vec<_>>();
    let reader = events.reader();
    let whole = reader.page(Cursor::After(2), 10).await.unwrap();
    assert!(whole.is_whole && !whole.more);
    assert_eq!(offsets(whole), [3, 4, 5]);
    assert!(!reader.page(Cursor::After(1), 10).await.unwrap().is_whole, "the second is gone");
    let newest = reader.page(Cursor::Before(u64::MAX), 2).await.unwrap();
    assert!(newest.more);
    assert_eq!(newest.last, Some(4));
    assert_eq!(offsets(newest), [5, 4]);
}

#[tokio::test]
async fn a_follower_is_told_everything_in_order() {
    let (events, _backplane) = events();
    events.emit(&rotated(&events, 1)).await.unwrap();
    let mut from_now = events.reader().follow(None).await.unwrap();
    let start = Position { offset: 0, ..from_now.position().clone() };
    let mut from_start = events.reader().follow(Some(start)).await.unwrap();
    for expected in 2..=50 {
        events.emit(&rotated(&events, expected)).await.unwrap();
    }
    for expected in 2..=50 {
        assert_eq!(version(&next(&mut from_now).await), expected);
    }
    for expected in 1..=50 {
        assert_eq!(version(&next(&mut from_start).await), expected);
    }
    // More than the queue holds: the follower hears of the gap and reads the stream.
    let many = u32::try_from(QUEUE_AND_MORE).unwrap();
    for expected in 0..many {
        events.emit(&rotated(&events, expected)).await.unwrap();
    }
    for expected in 0..u64::from(many) {
        assert_eq!(version(&next(&mut from_now).await), expected);
    }
}

/// Three times what a follower's queue holds.
const QUEUE_AND_MORE: usize = 768;

#[tokio::test]
async fn a_follower_is_told_what_it_cannot_be_told() {
    let (events, backplane) = events();
    let events = events.retain(Retention { max_len: 3, max_age: MAX_AGE });
    events.emit(&rotated(&events, 1)).await.unwrap();
    let mut follower = events.reader().follow(None).await.unwrap();
    let old = follower.position().clone();
    for version in 2..=9 {
        events.emit(&rotated(&events, version)).await.unwrap();
    }
    assert_eq!(next(&mut follower).await, Followed::Lost, "only three are kept");
    assert_eq!(version(&next(&mut follower).await), 7);
    assert_eq!(version(&next(&mut follower).await), 8);
    assert_eq!(version(&next(&mut follower).await), 9);
    backplane.remove(&stream()).await.unwrap();
    events.emit(&rotated(&events, 10)).await.unwrap();
    assert_eq!(next(&mut follower).await, Followed::Lost, "the stream began anew");
    assert_eq!(version(&next(&mut follower).await), 10);
    let mut late = events.reader().follow(Some(old)).await.unwrap();
    assert_eq!(next(&mut late).await, Followed::Lost);
    assert_eq!(version(&next(&mut late).await), 10);
}

#[tokio::test]
async fn what_cannot_be_read_stops_nobody() {
    let (events, backplane) = events();
    let mut follower = events.reader().follow(None).await.unwrap();
    for payload in [
        "no JSON",
        "{}",
        r#"{"specversion":"2.0","id":"1","source":"/","type":"t","time":"2027-01-15T08:00:00Z"}"#,
    ] {
        let append = Append {
            stream: stream(),
            payload: payload.into(),
            key: None,
            retention: Retention { max_len: MAX_EVENTS, max_age: MAX_AGE },
        };
        backplane.append(append).await.unwrap();
    }
    events.emit(&rotated(&events, 1)).await.unwrap();
    let page = events.reader().page(Cursor::After(0), 10).await.unwrap();
    assert_eq!((page.events.len(), page.last, page.is_whole), (1, Some(4), true));
    assert_eq!(version(&next(&mut follower).await), 1);
}

#[test]
fn every_type_has_a_word_of_its_own() {
    let words: BTreeSet<&str> = EventType::ALL.iter().map(|kind| kind.word()).collect();
    assert_eq!(words.len(), EventType::ALL.len());
    assert!(EventType::ALL.iter().all(|kind| EventType::parse(kind.word()) == Some(*kind)));
    assert_eq!(EventType::parse("key.lost"), None);
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    assert!(words.iter().all(|word| word.contains('.') && word.split('.').all(is_part)), "{words:?}");
}
