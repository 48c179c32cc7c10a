use super::*;
use patchbay_backplane::{MemoryBackplane, Retention, Streams};
use patchbay_chassis::{Clock, Ids};
use patchbay_events::{EventType, Events as Writer, MAX_AGE, MAX_EVENTS, stream};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct World {
    backplane: Arc<MemoryBackplane>,
    service: EventsService,
    writer: Writer,
}

impl World {
    fn new() -> Self {
        let backplane = Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
        let shared: SharedBackplane = backplane.clone();
        let clock = Clock::manual(1_800_000_000_123);
        let writer = Writer::with(shared.clone(), clock, Ids::seeded(1), "/patchbay/test/one");
        Self { backplane, service: EventsService::new(shared), writer }
    }

    /// Emits events whose subjects are the numbers of a range.
    async fn emit(&self, kind: EventType, subjects: std::ops::Range<usize>) {
        for subject in subjects {
            let event = self.writer.event(kind, subject.to_string(), &json!({"is": subject}));
            self.writer.emit(&event).await.unwrap();
        }
    }

    async fn list(&self, request: ListEventsRequest) -> Result<ListEventsResponse, ListError> {
        let identity = Arc::new(Identity::guest(&["console:read:events".parse().unwrap()]));
        self.service.list(Some(&identity), request).await
    }

    async fn after(&self, position: &str) -> ListEventsResponse {
        self.list(ListEventsRequest { after: position.to_owned(), ..Default::default() }).await.unwrap()
    }
}

fn subjects(answer: &ListEventsResponse) -> Vec<&str> {
    answer.events.iter().map(|event| event.subject.as_str()).collect()
}

#[tokio::test]
async fn only_who_may_read_events_is_told() {
    let world = World::new();
    let wanted = ListEventsRequest::default;
    assert!(matches!(world.service.list(None, wanted()).await, Err(ListError::Denied)));
    let other = Arc::new(Identity::guest(&["console:read:overview".parse().unwrap()]));
    assert!(matches!(world.service.list(Some(&other), wanted()).await, Err(ListError::Denied)));
    assert!(world.list(wanted()).await.is_ok());
}

#[tokio::test]
async fn an_event_is_shown_with_all_its_attributes() {
    let world = World::new();
    world.emit(EventType::KeyRotated, 7..8).await;
    let answer = world.list(ListEventsRequest::default()).await.unwrap();
    let event = &answer.events[0];
    assert_eq!(event.id.len(), 32);
    assert_eq!((event.source.as_str(), event.r#type.as_str()), ("/patchbay/test/one", "key.rotated"));
    assert_eq!((event.subject.as_str(), event.data.as_str()), ("7", r#"{"is":7}"#));
    let time = event.time.unwrap();
    assert_eq!((time.seconds, time.nanos), (1_800_000_000, 123_000_000));
}

#[tokio::test]
async fn pages_go_back_to_the_oldest_and_every_event_is_in_one() {
    let world = World::new();
    world.emit(EventType::KeyRotated, 0..250).await;
    let (mut token, mut seen) = (String::new(), Vec::new());
    for page in 1.. {
        let request = ListEventsRequest { page_size: 60, page_token: token, ..Default::default() };
        let answer = world.list(request).await.unwrap();
        seen.extend(answer.events.iter().map(|event| event.subject.parse::<usize>().unwrap()));
        token = answer.next_page_token;
        if token.is_empty() {
            assert_eq!(page, 5);
            break;
        }
    }
    assert_eq!(seen, (0..250).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn newer_events_come_oldest_first() {
    let world = World::new();
    let empty = world.list(ListEventsRequest::default()).await.unwrap();
    assert!(empty.events.is_empty() && empty.next_page_token.is_empty());
    let nothing = world.after(&empty.position).await;
    assert!(!nothing.has_more && !nothing.is_lossy && nothing.events.is_empty());
    assert_eq!(nothing.position, empty.position);
    world.emit(EventType::KeyRotated, 0..250).await;
    let (mut position, mut seen) = (nothing.position, Vec::new());
    loop {
        let answer = world.after(&position).await;
        assert!(!answer.is_lossy && answer.events.len() <= PAGE);
        seen.extend(answer.events.iter().map(|event| event.subject.parse::<usize>().unwrap()));
        position = answer.position;
        if !answer.has_more {
            break;
        }
    }
    assert_eq!(seen, (0..250).collect::<Vec<_>>());
    // The place of a page of older events is where newer ones than those go on.
    let request = ListEventsRequest { page_size: 5, ..Default::default() };
    let newest = world.list(request.clone()).await.unwrap();
    assert_eq!(newest.position, position);
    let request = ListEventsRequest { page_token: newest.next_page_token, ..request };
    let older = world.list(request).await.unwrap();
    assert_eq!(subjects(&older), ["244", "243", "242", "241", "240"]);
    assert_eq!(subjects(&world.after(&older.position).await), ["245", "246", "247", "248", "249"]);
}

#[tokio::test]
async fn a_prefix_that_few_have_is_looked_for_in_bounded_steps() {
    let world = World::new();
    world.emit(EventType::CertificateExpiring, 0..1).await;
    world.emit(EventType::KeyRotated, 1..READ * MAX_READS + 50).await;
    let request = ListEventsRequest { type_prefix: "certificate.".into(), ..Default::default() };
    let first = world.list(request.clone()).await.unwrap();
    assert!(first.events.is_empty() && !first.next_page_token.is_empty(), "it looked at so many and stopped");
    let request = ListEventsRequest { page_token: first.next_page_token, ..request };
    let second = world.list(request).await.unwrap();
    assert_eq!(subjects(&second), ["0"]);
    assert!(second.next_page_token.is_empty());
    let (epoch, _) = second.position.rsplit_once(':').unwrap();
    let from_start = format!("{epoch}:0");
    let none = ListEventsRequest { type_prefix: "chat.".into(), after: from_start, ..Default::default() };
    let none = world.list(none).await.unwrap();
    assert!(none.events.is_empty() && none.has_more);
}

#[tokio::test]
async fn an_answer_has_a_size() {
    let world = World::new();
    for subject in 0..80 {
        let data = "x".repeat(60 * 1024);
        let event = world.writer.event(EventType::FileUploaded, subject.to_string(), &data);
        world.writer.emit(&event).await.unwrap();
    }
    let answer = world.list(ListEventsRequest::default()).await.unwrap();
    let size = prost::Message::encoded_len(&answer);
    assert!((MAX_BYTES..MAX_BYTES + 128 * 1024).contains(&size), "{size}");
    let request = ListEventsRequest { page_token: answer.next_page_token, ..Default::default() };
    let next = world.list(request).await.unwrap();
    let first: usize = next.events[0].subject.parse().unwrap();
    assert_eq!(first + answer.events.len(), 79, "it goes on with the next");
}

#[tokio::test]
async fn what_was_lost_is_told() {
    let world = World::new();
    world.emit(EventType::KeyRotated, 0..5).await;
    let old = world.list(ListEventsRequest { page_size: 2, ..Default::default() }).await.unwrap();
    let keep_two = Retention { max_len: 2, max_age: MAX_AGE };
    let short = world.writer.clone().retain(keep_two);
    for subject in 5..9 {
        let event = short.event(EventType::KeyRotated, subject.to_string(), &json!({}));
        short.emit(&event).await.unwrap();
    }
    let answer = world.after(&old.position).await;
    assert!(answer.is_lossy);
    assert_eq!(subjects(&answer), ["7", "8"]);
    assert!(!world.after(&answer.position).await.is_lossy);
    world.backplane.remove(&stream()).await.unwrap();
    world.emit(EventType::KeyRotated, 9..10).await;
    let anew = world.after(&answer.position).await;
    assert!(anew.is_lossy);
    assert_eq!(subjects(&anew), ["9"]);
    let request = ListEventsRequest { page_token: old.next_page_token, ..Default::default() };
    assert!(matches!(world.list(request).await, Err(ListError::BadRequest { field: "page_token", .. })));
}

#[tokio::test]
async fn a_bad_request_is_told() {
    let world = World::new();
    let bad = [
        ("page_size", ListEventsRequest { page_size: 1001, ..Default::default() }),
        ("type_prefix", ListEventsRequest { type_prefix: "x".repeat(129), ..Default::default() }),
        ("page_token", ListEventsRequest { page_token: "7".into(), ..Default::default() }),
        ("page_token", ListEventsRequest { page_token: ":7".into(), ..Default::default() }),
        ("after", ListEventsRequest { after: "e:-7".into(), ..Default::default() }),
        ("after", ListEventsRequest { after: "e:7".into(), page_token: "e:7".into(), ..Default::default() }),
    ];
    for (field, request) in bad {
        let refused = world.list(request).await.unwrap_err();
        assert!(
            matches!(refused, ListError::BadRequest { field: told, .. } if told == field),
            "{field}: {refused}"
        );
    }
    const { assert!(READ * MAX_READS < MAX_EVENTS, "one call does not read everything") }
}
