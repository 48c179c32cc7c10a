use super::*;
use patchbay_backplane::{Cursor, MemoryBackplane, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: u64 = 1_800_000_000_000;

fn backplane() -> (SharedBackplane, Events) {
    let backplane: SharedBackplane =
        Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
    let (clock, source) = (Clock::manual(NOW), "/patchbay/crypto-service/one");
    (backplane.clone(), Events::with(backplane, clock, Ids::seeded(1), source))
}

#[tokio::test]
async fn versions_are_told_in_the_order_in_which_they_were_made() {
    let (backplane, events) = backplane();
    for version in (2..=120).rev() {
        backplane.commit(vec![key_rotated("app", "id", version, NOW)]).await.unwrap();
    }
    assert_eq!(outbox().tell_all(&events).await.unwrap().new, 119);
    let told = events.reader().page(Cursor::After(0), 1000).await.unwrap().events;
    let versions: Vec<u64> = told.iter().map(|it| it.event.data["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (2..=120).collect::<Vec<u64>>());
    let event = &told[0].event;
    assert_eq!((event.kind.as_str(), event.subject.as_str()), ("key.rotated", "app"));
    assert_eq!(event.data, json!({ "key": "app", "version": 2 }));
}

/// Replicas of two versions run side by side during an upgrade.
#[tokio::test]
async fn a_row_stands_where_it_always_has() {
    let change = key_rotated("app", "id", 2, NOW);
    assert_eq!(change.table, Table::Events.name());
    assert_eq!(change.key, "outbox/00000001800000000000-id-0000000002");
    let form = r#"{"id":"key.rotated-id-2","type":"key.rotated","subject":"app","millis":1800000000000,"data":{"key":"app","version":2}}"#;
    assert_eq!(change.value.as_deref(), Some(form.as_bytes()));
}
