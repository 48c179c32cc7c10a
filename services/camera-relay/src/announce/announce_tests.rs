use super::*;
use patchbay_backplane::{MemoryBackplane, Order, Scan};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: u64 = 1_800_000_000_000;

fn tables() -> Tables {
    Tables(Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new())))
}

fn news(condition: Condition, millis: u64) -> [News; 1] {
    let since = Steady::default().see(condition, (Instant::now(), millis), Duration::ZERO).unwrap();
    let (reason, words) = ("TIMED_OUT".to_owned(), "it does not answer".to_owned());
    [News { camera: "door".parse().unwrap(), since, reason, words }]
}

async fn told(tables: &Tables) -> Vec<serde_json::Value> {
    let scan = Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 100 };
    let page = tables.0.scan(&Name::new("camera", "outbox", "store"), scan).await.unwrap();
    page.records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

#[tokio::test]
async fn a_camera_that_goes_and_comes_is_told_of_once_each() {
    let tables = tables();
    for (condition, millis) in [
        (Condition::Live, NOW),
        (Condition::Failed, NOW + 10_000),
        (Condition::Stalled, NOW + 20_000),
        (Condition::Live, NOW + 70_000),
    ] {
        // By two replicas at the same time, and again.
        let (here, there) = (news(condition, millis), news(condition, millis + 100));
        let (one, other) = tokio::join!(tables.tell(&here), tables.tell(&there));
        one.and(other).unwrap();
        tables.tell(&there).await.unwrap();
    }
    let told = told(&tables).await;
    let [offline, online] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&offline["type"], &offline["subject"]), (&json!("camera.offline"), &json!("door")));
    assert_eq!(offline["data"], json!({ "reason": "TIMED_OUT", "words": "it does not answer" }));
    assert_eq!((&online["type"], &online["data"]["away_seconds"]), (&json!("camera.online"), &json!(60)));
}

#[tokio::test]
async fn a_camera_that_never_gave_pictures_is_away() {
    let tables = tables();
    tables.tell(&news(Condition::Failed, NOW)).await.unwrap();
    assert_eq!(told(&tables).await.len(), 1);
}
