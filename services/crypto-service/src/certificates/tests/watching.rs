//! Which hosts are asked when, and what is shown of them.

use super::*;

#[tokio::test]
async fn a_host_is_asked_when_its_time_has_come_and_when_another_replica_takes_over() {
    let world = World::new();
    let watch = ["a.example", "b.example", "c.example"];
    let names = ["a.example:443", "b.example:443", "c.example:443"];
    for name in names {
        world.show(name, 90, 1);
    }
    let mut one = world.replica(&watch);
    one.round(&world).await;
    assert_eq!(world.asked(), names);
    one.round(&world).await;
    world.clock.advance(Duration::from_hours(5));
    one.round(&world).await;
    assert!(world.asked().is_empty());
    world.clock.advance(Duration::from_hours(1));
    one.round(&world).await;
    assert_eq!(world.asked(), names);
    let mut other = world.replica(&watch);
    other.round(&world).await;
    assert_eq!(world.asked(), names, "a replica that begins looks at all");
    other.round(&world).await;
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn hosts_spread_in_time() {
    let world = World::new();
    let watch: Vec<String> = (0..100).map(|number| format!("host-{number}.example")).collect();
    let watch: Vec<&str> = watch.iter().map(String::as_str).collect();
    let mut replica = world.replica(&watch);
    for host in &watch {
        world.show(&format!("{host}:443"), 90, 1);
    }
    replica.round(&world).await;
    assert_eq!(world.asked().len(), 100);
    let mut most = 0;
    let mut all = 0;
    // Six hours in steps of six minutes; the last tenth is where they come.
    for _ in 0..61 {
        world.clock.advance(Duration::from_mins(6));
        replica.round(&world).await;
        let asked = world.asked().len();
        (most, all) = (most.max(asked), all + asked);
    }
    assert_eq!(all, 100, "each once");
    assert!(most <= 40, "{most} at once");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_shown_last_and_asked_again_soon() {
    let world = World::new();
    let mut replica = world.replica(&["a.example", "b.example", "smtp://c.example"]);
    world.show("b.example:443", 90, 1);
    world.show("c.example:25", 60, 1);
    replica.round(&world).await;
    world.asked();
    assert_eq!(replica.names().await, ["c.example:25", "b.example:443", "a.example:443"]);
    let shown = replica.seen("a.example:443").await.shown(world.clock.now_millis());
    assert_eq!(shown.failure_message, "nobody listens there");
    assert!(shown.not_after.is_none() && shown.checked.is_some() && !shown.is_own);
    world.clock.advance(Duration::from_mins(15));
    replica.round(&world).await;
    assert_eq!(world.asked(), ["a.example:443"]);
    // What was known of a host is not what it shows now.
    world.hide("b.example:443");
    world.clock.advance(Duration::from_hours(6));
    replica.round(&world).await;
    let shown = replica.seen("b.example:443").await.shown(world.clock.now_millis());
    assert_eq!((shown.not_after, shown.failure_message.as_str()), (None, "it does not answer"));
}

#[tokio::test]
async fn every_replica_shows_the_same() {
    let world = World::new();
    let watch = ["a.example", "b.example"];
    let (mut one, other) = (world.replica(&watch), world.replica(&watch));
    let before = other.seen("a.example:443").await.shown(world.clock.now_millis());
    assert_eq!((before.failure_message.as_str(), before.checked), (super::super::round::NOT_YET, None));
    world.show("a.example:443", 60, 1);
    world.show("b.example:443", 30, 1);
    let end = world.now() + 45 * 86_400;
    world.tell_own("x", "console", end).await;
    world.tell_own("y", "console", end).await;
    one.round(&world).await;
    let seen = one.monitor.gather().await.unwrap();
    assert_eq!(seen, other.monitor.gather().await.unwrap());
    assert_eq!(one.names().await, ["b.example:443", "console/http", "a.example:443"]);
    let own = seen[1].shown(world.clock.now_millis());
    assert_eq!((own.is_own, own.replicas, own.days_left), (true, 2, 45));
    world.backplane.forget(&NodeId("x".into())).await.unwrap();
    assert_eq!(other.seen("console/http").await.replicas, Some(1));
}

#[tokio::test]
async fn a_host_that_is_not_watched_any_more_is_forgotten() {
    let world = World::new();
    world.show("a.example:443", 60, 1);
    world.replica(&["a.example", "b.example"]).round(&world).await;
    let mut replica = world.replica(&["a.example"]);
    replica.round(&world).await;
    assert_eq!(replica.names().await, ["a.example:443"]);
}
