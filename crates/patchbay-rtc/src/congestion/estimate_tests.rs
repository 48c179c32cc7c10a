use super::*;

/// A line of a rate with a queue of a length, and what feedback each 100 ms tells of 30 pictures a second of a rate, with a large one each two seconds.
struct Line {
    rate: u64,
    longest: Duration,
}

fn run(line: &Line, sends: u64, seconds: u64) -> Vec<Signals> {
    let begun = Instant::now();
    let mut estimator = Estimator::default();
    let (mut free, mut waiting, mut all) = (0_i64, Vec::new(), Vec::new());
    for picture in 0..seconds * 30 {
        let at = i64::try_from(picture * 33_333).unwrap();
        // Ten times the size of the others, which together make up the rate.
        let large = picture % 60 == 0;
        let bytes = sends / 8 * 2 / 69 * if large { 10 } else { 1 };
        for _ in 0..bytes.div_ceil(1_200) {
            let size = u32::try_from(bytes / bytes.div_ceil(1_200)).unwrap();
            let begins = free.max(at);
            if Duration::from_micros(u64::try_from(begins - at).unwrap()) > line.longest {
                waiting.push(None);
                continue;
            }
            free = begins + i64::try_from(u64::from(size) * 8_000_000 / line.rate).unwrap();
            waiting.push(Some(Arrival { sent: at, arrived: free + 7_000_000, size }));
        }
        if picture % 3 == 2 {
            let now = begun + Duration::from_micros(u64::try_from(at).unwrap());
            let mut settled = Settled::default();
            for packet in waiting.drain(..) {
                match packet {
                    Some(arrival) => {
                        settled.arrived += 1;
                        estimator.arrival(arrival, now);
                    }
                    None => settled.lost += 1,
                }
            }
            estimator.settled(settled, now);
            all.push(estimator.signals(Duration::ZERO, now));
        }
    }
    all
}

#[test]
fn a_way_with_room_has_neither_a_standing_queue_nor_losses() {
    for rate in [4_500_000, 20_000_000] {
        let signals = run(&Line { rate, longest: Duration::from_secs(2) }, 3_000_000, 10);
        let standing = signals.iter().filter_map(|signals| signals.standing).max().unwrap();
        let queue = signals.iter().map(|signals| signals.queue).max().unwrap();
        let loss = signals.iter().filter_map(|signals| signals.loss).fold(0.0, f64::max);
        let arriving = signals.last().unwrap().arriving.unwrap();
        println!("{rate}: standing {standing:?}, queue {queue:?}, loss {loss}, arriving {arriving}");
        assert!(standing < Duration::from_millis(100) && loss == 0.0);
        assert!((2_000_000..4_200_000).contains(&arriving));
    }
}

#[test]
fn a_long_queue_shows_within_a_second_and_tells_what_the_way_carries() {
    let signals = run(&Line { rate: 1_000_000, longest: Duration::from_secs(5) }, 3_000_000, 2);
    let first =
        signals.iter().position(|signals| signals.standing > Some(Duration::from_millis(200))).unwrap();
    let last = signals.last().unwrap();
    println!("after {} ms: {:?}; at the end {last:?}", (first + 1) * 100, signals[first]);
    assert!(first < 10);
    assert!((900_000..1_100_000).contains(&last.arriving.unwrap()) && last.growth > 0.3);
}

#[test]
fn a_short_queue_shows_by_losses() {
    let signals = run(&Line { rate: 1_000_000, longest: Duration::from_millis(60) }, 3_000_000, 4);
    let last = signals.last().unwrap();
    println!("{last:?}");
    assert!(last.loss.unwrap() > 0.5 && last.queue < Duration::from_millis(200));
    assert!((850_000..1_150_000).contains(&last.arriving.unwrap()));
}

#[test]
fn samples_are_bounded() {
    let (mut estimator, now) = (Estimator::default(), Instant::now());
    for number in 0..10_000 {
        estimator.arrival(Arrival { sent: number, arrived: number, size: 9 }, now);
        estimator.settled(Settled { arrived: 1, lost: 1 }, now);
    }
    assert!(estimator.least.len() + estimator.losses.len() + estimator.arrived.len() <= 3 * SAMPLES);
}
