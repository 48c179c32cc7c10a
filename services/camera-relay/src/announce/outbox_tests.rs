use super::*;
use crate::{
    announce,
    motion::{Mark, MotionId},
};
use patchbay_backplane::{Cursor, MemoryBackplane, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use serde_json::json;
use std::sync::Arc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: u64 = 1_800_000_000_000;

fn motion(began: u64) -> Change {
    let camera: CameraName = "door".parse().unwrap();
    let id: MotionId = format!("{began:014}-0000000a").parse().unwrap();
    let mark = Mark {
        began,
        ended: None,
        seen: began,
        zones: vec!["drive".to_owned()],
        score: 0.5,
        picture: began.is_multiple_of(2),
        node: "one".to_owned(),
    };
    announce::motion(&camera, &id, &mark)
}

#[tokio::test]
async fn a_motion_is_told_with_where_its_picture_is() {
    let backplane: SharedBackplane =
        Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
    let (clock, source) = (Clock::manual(NOW), "/patchbay/camera-relay/one");
    let events = Events::with(backplane.clone(), clock, Ids::seeded(1), source);
    backplane.commit(vec![motion(NOW + 1)]).await.unwrap();
    backplane.commit(vec![motion(NOW)]).await.unwrap();
    assert_eq!(outbox().tell_all(&events).await.unwrap().new, 2);
    let told = events.reader().page(Cursor::After(0), 1000).await.unwrap().events;
    let [first, second] = &told[..] else { panic!("{told:?}") };
    let event = &first.event;
    assert_eq!((event.kind.as_str(), event.subject.as_str()), ("camera.motion", "door"));
    assert_eq!(event.time.as_millisecond(), i64::try_from(NOW).unwrap());
    let id = format!("{NOW:014}-0000000a");
    let path = format!("/v1/cameras/door/motion/{id}/picture");
    let data = json!({ "id": id, "zones": ["drive"], "score": 0.5, "picture": path });
    assert_eq!(event.data, data);
    assert_eq!(second.event.data["picture"], Value::Null);
}

/// Replicas of two versions run side by side during an upgrade.
#[test]
fn a_row_stands_where_it_always_has() {
    let camera: CameraName = "door".parse().unwrap();
    let change = event(EventType::CameraOnline, &camera, "7", NOW, json!({ "away_seconds": 60 }));
    assert_eq!(change.table, Name::new("camera", "outbox", "store"));
    assert_eq!(change.key, "00000001800000000000-camera.online-door-7");
    let form = r#"{"id":"camera.online-door-7","type":"camera.online","subject":"door","millis":1800000000000,"data":{"away_seconds":60}}"#;
    assert_eq!(change.value.as_deref(), Some(form.as_bytes()));
}
