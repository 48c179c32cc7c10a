use super::*;
use proptest::{prelude::*, sample::Index};

const LIMITS: Limits = Limits {
    packets: 32,
    patience: Duration::from_millis(200),
    ask_after: Duration::from_millis(5),
    ask_again_after: Duration::from_millis(40),
    asks: 3,
};

fn drain(reorder: &mut Reorder<u16>, now: Instant) -> Vec<u16> {
    std::iter::from_fn(|| reorder.pop(now))
        .map(|(sequence, packet)| {
            assert_eq!(sequence, packet);
            packet
        })
        .collect()
}

fn ask(reorder: &mut Reorder<u16>, now: Instant) -> Vec<u16> {
    let mut numbers = Vec::new();
    reorder.missing(now, &mut numbers);
    numbers
}

fn with(numbers: &[u16], now: Instant) -> Reorder<u16> {
    let mut reorder = Reorder::new(LIMITS);
    for &number in numbers {
        reorder.insert(number, number, now);
    }
    reorder
}

#[test]
fn a_gap_is_asked_for_in_time_and_given_up_in_time() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut reorder = with(&[0xFFFE, 0xFFFF, 2, 4], start);
    assert_eq!(drain(&mut reorder, start), [0xFFFE, 0xFFFF]);
    assert_eq!(reorder.deadline(), Some(at(5)));
    assert_eq!(ask(&mut reorder, at(4)), []);
    assert_eq!(ask(&mut reorder, at(5)), [0, 1, 3]);
    assert_eq!(reorder.insert(1, 1, at(20)), Inserted::Kept);
    assert_eq!(ask(&mut reorder, at(44)), []);
    reorder.set_round_trip(Duration::from_millis(60));
    assert_eq!(ask(&mut reorder, at(45)), [0, 3]);
    assert_eq!(ask(&mut reorder, at(104)), []);
    assert_eq!(ask(&mut reorder, at(105)), [0, 3]);
    assert_eq!(ask(&mut reorder, at(199)), [], "asked often enough");
    assert_eq!(reorder.deadline(), Some(at(200)));
    assert_eq!(drain(&mut reorder, at(199)), []);
    assert_eq!(drain(&mut reorder, at(200)), [1, 2, 4]);
    assert_eq!(reorder.insert(3, 3, at(201)), Inserted::Late);
    assert_eq!(reorder.deadline(), None);
    assert_eq!(reorder.counts(), Counts { recovered: 1, lost: 2, late: 1, ..Counts::default() });
}

#[test]
fn a_full_window_gives_up_the_oldest_gap() {
    let now = Instant::now();
    let mut reorder = with(&[0], now);
    assert_eq!(drain(&mut reorder, now), [0]);
    let numbers: Vec<u16> = (2..=32).collect();
    for &number in &numbers {
        assert_eq!(reorder.insert(number, number, now), Inserted::Kept);
        assert_eq!(drain(&mut reorder, now), []);
    }
    assert_eq!(reorder.insert(33, 33, now), Inserted::Kept);
    assert_eq!(drain(&mut reorder, now), [numbers, vec![33]].concat());
    assert_eq!(reorder.counts().lost, 1);
}

#[test]
fn one_stray_is_dropped_and_two_in_a_row_are_a_new_start() {
    let now = Instant::now();
    let mut reorder = with(&[10, 12], now);
    assert_eq!(reorder.insert(30_000, 30_000, now), Inserted::Stray);
    assert_eq!(reorder.insert(13, 13, now), Inserted::Kept);
    assert_eq!(reorder.insert(30_001, 30_001, now), Inserted::Stray, "the first one was long ago");
    assert_eq!(reorder.insert(30_002, 30_002, now), Inserted::Restarted);
    assert_eq!(drain(&mut reorder, now), [30_002]);
    assert_eq!(reorder.counts().dropped, 5);
}

proptest! {
    #[test]
    fn packets_that_changed_places_come_out_in_order(first in any::<u16>(), count in 1..400_u16, swaps in prop::collection::vec((any::<Index>(), 1..16_usize), 0..60), again in prop::collection::vec(any::<Index>(), 0..20)) {
        let numbers: Vec<u16> = (0..count).map(|offset| first.wrapping_add(offset)).collect();
        let mut sent = numbers.clone();
        for (index, distance) in swaps {
            // The first packet stays: what comes before it would be late. Each packet moves within the window.
            let index = index.index(sent.len());
            let other = (index + distance).min(sent.len() - 1);
            let moved = |at: usize, number: u16| number.wrapping_sub(first).abs_diff(u16::try_from(at).unwrap()) < 16;
            if index > 0 && moved(other, sent[index]) && moved(index, sent[other]) {
                sent.swap(index, other);
            }
        }
        for index in again {
            sent.insert(index.index(sent.len()) + 1, sent[index.index(sent.len())]);
        }
        let now = Instant::now();
        let (mut reorder, mut received) = (Reorder::new(LIMITS), Vec::new());
        for number in &sent {
            reorder.insert(*number, *number, now);
            received.extend(drain(&mut reorder, now));
        }
        prop_assert_eq!(received, numbers);
        prop_assert_eq!(reorder.counts().lost, 0);
    }

    #[test]
    fn whatever_comes_the_window_is_bounded_and_numbers_go_up(packets in prop::collection::vec((any::<u16>(), 0..4_u16, 0..30_u64), 1..300)) {
        let mut now = Instant::now();
        let (mut reorder, mut number, mut last) = (Reorder::new(LIMITS), 0_u16, None::<u16>);
        for (wild, step, millis) in packets {
            now += Duration::from_millis(millis);
            number = if step == 3 && wild % 7 == 0 { wild } else { number.wrapping_add(step) };
            let restarted = reorder.insert(number, number, now) == Inserted::Restarted;
            prop_assert!(reorder.slots.len() <= 2 * LIMITS.packets);
            for sequence in drain(&mut reorder, now) {
                let ahead = last.is_none_or(|last| sequence.wrapping_sub(last).wrapping_sub(1) < 0x8000);
                prop_assert!(ahead || restarted);
                last = Some(sequence);
            }
            prop_assert!(reorder.slots.len() <= LIMITS.packets);
            prop_assert!(reorder.deadline().is_none_or(|deadline| deadline <= now + LIMITS.patience));
            let asked = ask(&mut reorder, now);
            prop_assert!(asked.len() <= LIMITS.packets);
        }
    }
}
