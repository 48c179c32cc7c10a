use super::*;
use crate::{
    announce,
    cameras::CameraName,
    motion::{Mark, MotionId},
};
use patchbay_backplane::{Cursor, MemoryBackplane};
use patchbay_chassis::{Clock, Ids};
use patchbay_events::Placed;
use std::sync::Arc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: u64 = 1_800_000_000_000;

fn outbox() -> Outbox {
    let backplane: SharedBackplane =
        Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
    let events =
        Events::with(backplane.clone(), Clock::manual(NOW), Ids::seeded(1), "/patchbay/camera-relay/one");
    Outbox { backplane, events, told: Counter::default() }
}

async fn told(outbox: &Outbox) -> Vec<Placed> {
    outbox.events.reader().page(Cursor::After(0), 1000).await.unwrap().events
}

async fn put(outbox: &Outbox, change: Change) {
    outbox.backplane.commit(vec![change]).await.unwrap();
}

fn motion(number: u64) -> Change {
    let camera: CameraName = "door".parse().unwrap();
    let id: MotionId = format!("{:014}-0000000a", NOW + number).parse().unwrap();
    let mark = Mark {
        began: NOW + number,
        ended: None,
        seen: NOW,
        zones: vec!["drive".to_owned()],
        score: 0.5,
        picture: number.is_multiple_of(2),
        node: "one".to_owned(),
    };
    announce::motion(&camera, &id, &mark)
}

#[tokio::test]
async fn a_motion_is_told_with_where_its_picture_is() {
    let outbox = outbox();
    put(&outbox, motion(0)).await;
    put(&outbox, motion(1)).await;
    outbox.tell_all().await.unwrap();
    let told = told(&outbox).await;
    let [first, second] = &told[..] else { panic!("{told:?}") };
    let event = &first.event;
    assert_eq!((event.kind.as_str(), event.subject.as_str()), ("camera.motion", "door"));
    assert_eq!(event.time.as_millisecond(), i64::try_from(NOW).unwrap());
    let id = format!("{NOW:014}-0000000a");
    let path = format!("/v1/cameras/door/motion/{id}/picture");
    let data = serde_json::json!({ "id": id, "zones": ["drive"], "score": 0.5, "picture": path });
    assert_eq!(event.data, data);
    assert_eq!(second.event.data["picture"], Value::Null);
}

#[tokio::test]
async fn who_dies_after_telling_tells_nothing_twice() {
    let outbox = outbox();
    for number in 0..120 {
        put(&outbox, motion(number)).await;
    }
    let (one, other) = tokio::join!(outbox.tell_all(), outbox.tell_all());
    one.and(other).unwrap();
    // As if the row had not been removed.
    put(&outbox, motion(7)).await;
    outbox.tell_all().await.unwrap();
    let times: Vec<_> = told(&outbox).await.iter().map(|placed| placed.event.time).collect();
    assert_eq!((times.len(), times.is_sorted()), (120, true));
    assert_eq!(outbox.told.get(), 120);
}

#[tokio::test]
async fn what_cannot_be_told_keeps_nothing_else_back() {
    let outbox = outbox();
    let row = |key: &str, value: &'static str| Change {
        table: table(),
        key: key.to_owned(),
        expect: Expect::Anything,
        value: Some(value.into()),
    };
    put(&outbox, row("a", "no JSON")).await;
    put(&outbox, row("b", r#"{"id":"","type":"camera.motion","subject":"k","millis":1,"data":{}}"#)).await;
    put(&outbox, row("c", r#"{"id":"c","type":"camera.stolen","subject":"k","millis":1,"data":{}}"#)).await;
    put(&outbox, motion(0)).await;
    outbox.tell_all().await.unwrap();
    assert_eq!(told(&outbox).await.len(), 1);
    let scan = Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 10 };
    let left = outbox.backplane.scan(&table(), scan).await.unwrap().records;
    assert_eq!(left.len(), 1, "what a newer version will understand is left for it");
}
