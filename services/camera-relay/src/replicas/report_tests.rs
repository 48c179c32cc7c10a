use super::*;

fn report(condition: Condition, since: u64) -> CameraReport {
    CameraReport { condition, since, viewers: 1, ..CameraReport::default() }
}

fn failed(since: u64, reason: &str, next_try: Option<u64>) -> CameraReport {
    CameraReport { reason: reason.to_owned(), next_try, ..report(Condition::Failed, since) }
}

/// What is told is the same in whichever order the reports are there, for that is another one on each replica.
fn either_way(one: &CameraReport, other: &CameraReport) -> CameraReport {
    let all = merged([one.clone(), other.clone()].into_iter());
    assert_eq!(all, merged([other.clone(), one.clone()].into_iter()));
    all
}

#[test]
fn every_replica_tells_the_newest_failure_and_the_first_try() {
    let all = either_way(&failed(100, "TIMED_OUT", Some(900)), &failed(200, "UNAUTHORIZED", None));
    assert_eq!(
        (all.reason.as_str(), all.since, all.next_try, all.viewers),
        ("UNAUTHORIZED", 200, Some(900), 2)
    );
    let all = either_way(&failed(100, "REFUSED", Some(900)), &failed(200, "REFUSED", Some(700)));
    assert_eq!(all.next_try, Some(700));
}

#[test]
fn whoever_has_the_picture_says_how_the_camera_is() {
    let live = report(Condition::Live, 50);
    let all = either_way(&live, &failed(200, "REFUSED", Some(900)));
    assert_eq!(
        (all.condition, all.reason.as_str(), all.since, all.next_try),
        (Condition::Live, "", 50, None)
    );
    let captured = CameraReport { captures: 1, detail: "captured".to_owned(), ..report(Condition::Live, 10) };
    assert_eq!(either_way(&captured, &live).detail, "captured");
}
