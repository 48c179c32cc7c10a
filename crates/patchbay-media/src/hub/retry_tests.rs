use super::*;
use crate::hub::{Mode, testing::Script};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const COUNTS: Counts = Counts { revision: 0, joins: 1, hints: 0 };

fn control(consumers: usize, joins: u64) -> Control {
    let source = Script::playing(Vec::new());
    Control { source, revision: 0, mode: Mode::OnDemand, consumers, joins, hints: 0, ended: None }
}

/// The wait after so many failures in a row.
fn wait(error: &SourceError, in_a_row: usize, percent: u32, control: &Control) -> Option<Duration> {
    let now = Instant::now();
    let failure = Failure { error, counts: COUNTS, in_a_row, percent };
    let due = Failed::new(now, &failure, &HubConfig::default()).due(control);
    due.map(|due| due - now)
}

#[test]
fn waits_are_capped_while_somebody_watches_and_jitter_comes_after_the_cap() {
    let away = SourceError::temporary("away");
    for (in_a_row, alone, watched) in [(1, 1, 1), (2, 2, 2), (3, 5, 2), (5, 30, 2), (1000, 30, 2)] {
        assert_eq!(wait(&away, in_a_row, 100, &control(0, 1)), Some(alone * SECOND), "{in_a_row}");
        assert_eq!(wait(&away, in_a_row, 100, &control(1, 1)), Some(watched * SECOND), "{in_a_row}");
    }
    assert_eq!(wait(&away, 5, 120, &control(1, 1)), Some(Duration::from_millis(2400)));
    assert_eq!(wait(&away, 5, 80, &control(0, 1)), Some(24 * SECOND));
}

#[test]
fn the_cap_is_not_below_the_shortest_wait() {
    let config = HubConfig { retry_watched: Duration::ZERO, ..HubConfig::default() };
    let error = SourceError::temporary("away");
    let now = Instant::now();
    let failed =
        Failed::new(now, &Failure { error: &error, counts: COUNTS, in_a_row: 4, percent: 100 }, &config);
    assert_eq!(failed.due(&control(1, 1)), Some(now + SECOND));
}

#[test]
fn who_comes_shortens_the_wait_of_what_may_be_better_soon_and_of_nothing_else() {
    let (away, gone) = (SourceError::temporary("away"), SourceError::permanent("gone"));
    let [locked, busy] = [&gone, &away].map(|error| error.clone().because(Reason::Unauthorized));
    let newcomer = control(1, 2);
    assert_eq!(wait(&away, 5, 100, &newcomer), Some(SECOND));
    assert_eq!(wait(&gone, 5, 100, &newcomer), Some(30 * SECOND));
    assert_eq!(wait(&locked, 5, 100, &newcomer), Some(REFUSED_LOGIN));
    assert_eq!(wait(&busy, 5, 100, &newcomer), Some(30 * SECOND));
    let nobody_new = control(1, 1);
    assert_eq!([&gone, &locked].map(|error| wait(error, 1, 100, &nobody_new)), [Some(RARELY); 2]);
}

#[test]
fn without_configured_waits_there_is_one() {
    let config = HubConfig { retry: Vec::new(), ..HubConfig::default() };
    assert_eq!((step(&config, 1), step(&config, 9), longest(&config)), (LEAST, LEAST, LEAST));
}
