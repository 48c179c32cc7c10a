use super::*;
use proptest::prelude::*;

const FRAME: i64 = 3600;
const MILLI: i64 = 90;

fn video() -> Clock {
    Clock { rate: 90_000, wrap: Wrap::Bits32, origin: Origin::Shared, nominal: Duration::from_millis(33) }
}

fn audio() -> Clock {
    Clock { nominal: Duration::from_millis(20), ..video() }
}

fn at(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap())
}

/// Places a track's units, which arrive on time, and gives their times in milliseconds.
fn run(clock: Clock, times: impl IntoIterator<Item = i64>) -> (Vec<i64>, u64) {
    let mut line = TimeLine::new();
    let id = line.track(clock).unwrap();
    let placed = times.into_iter().zip(0..).map(|(dts, number)| {
        let placed = line.place(id, dts, dts, at(number * 40));
        placed.dts.nanos() / 1_000_000
    });
    (placed.collect(), line.jumps())
}

fn regular(count: usize) -> Vec<i64> {
    (0..).map(|number| number * 40).take(count).collect()
}

proptest! {
    #[test]
    fn times_never_go_back_whatever_the_source_says(
        units in proptest::collection::vec(
            (0..3_usize, prop_oneof![any::<i64>(), 0..1_000_000_i64], any::<i64>(), 0..20_000_u64),
            1..200,
        ),
        rates in proptest::array::uniform3(prop_oneof![Just(0_u32), Just(1), Just(90_000), any::<u32>()]),
    ) {
        let mut line = TimeLine::new();
        let wraps = [Wrap::Bits32, Wrap::Bits33, Wrap::Never];
        let origins = [Origin::Shared, Origin::Own, Origin::Shared];
        let ids: Vec<_> = (0..3)
            .map(|index| {
                let (rate, wrap, origin) = (rates[index], wraps[index], origins[index]);
                line.track(Clock { rate, wrap, origin, nominal: Duration::from_millis(20) }).unwrap()
            })
            .collect();
        let mut last = [MediaTime::from_nanos(i64::MIN); 3];
        let mut arrival = Duration::ZERO;
        for (index, dts, pts, passed) in units {
            arrival += Duration::from_millis(passed);
            let placed = line.place(ids[index], dts, pts, arrival);
            prop_assert!(placed.dts >= last[index]);
            prop_assert!(placed.pts >= placed.dts);
            last[index] = placed.dts;
            prop_assert!(line.epochs.len() <= 4);
        }
    }

    #[test]
    fn wraps_are_invisible(before in 1..2000_i64, steps in proptest::collection::vec(1..90_000_i64, 1..200)) {
        for (wrap, size) in [(Wrap::Bits32, 1_i64 << 32), (Wrap::Bits33, 1 << 33)] {
            let clock = Clock { wrap, ..video() };
            let times: Vec<i64> = steps.iter().scan(0, |time, step| { *time += step; Some(*time) }).collect();
            let wrapped = times.iter().map(|time| (size - before * MILLI + time) % size);
            prop_assert_eq!(run(clock, wrapped), run(Clock { wrap: Wrap::Never, ..video() }, times.iter().copied()));
        }
    }

    #[test]
    fn a_jump_costs_one_frame(
        when in 2..100_usize,
        jump in prop_oneof![-4_000_000_000_i64..-200 * MILLI, 5_100 * MILLI..2_000_000_000],
    ) {
        let clock = Clock { wrap: Wrap::Never, ..video() };
        let times = (0..200).zip(0..).map(|(index, number)| number * FRAME + if index < when { 0 } else { jump });
        prop_assert_eq!(run(clock, times), (regular(200), 1));
    }

    #[test]
    fn pictures_and_sound_jump_together(
        when in 20..60_i64,
        jump in prop_oneof![Just(-1_i64), Just(1)],
        lead in -6..6_i64,
    ) {
        // Video each 40 ms, audio each 20 ms, from one clock, which jumps by an hour; audio does so up to 120 ms before or after video.
        let mut line = TimeLine::new();
        let (pictures, sound) = (line.track(video()).unwrap(), line.track(audio()).unwrap());
        let hour = jump * 3600 * 90_000;
        let base = 2 * 3600 * 90_000;
        for number in 0..200 {
            let half = number * FRAME / 2;
            let raw = |from: i64| base + half + if number >= from { hour } else { 0 };
            if number % 2 == 0 {
                let placed = line.place(pictures, raw(when), raw(when), at(number * 20));
                prop_assert_eq!(placed.dts.nanos() / 1_000_000, number * 20);
            }
            let placed = line.place(sound, raw(when + lead), raw(when + lead), at(number * 20));
            if number < when.min(when + lead) || number > when.max(when + lead) {
                let error = placed.dts.nanos() / 1_000_000 - number * 20;
                prop_assert!(error.abs() <= 40, "{} is off by {error} ms", number);
            }
        }
        prop_assert_eq!(line.jumps(), 1);
    }
}

#[test]
fn a_stutter_is_flattened_and_does_not_add_up() {
    let times = (0..500).map(|number| (number * 40 + if number % 3 == 2 { -50 } else { 0 }) * MILLI);
    let (placed, jumps) = run(video(), times);
    assert_eq!(jumps, 0);
    assert!(placed.windows(2).all(|pair| pair[1] >= pair[0]));
    assert_eq!(placed[498], 498 * 40);
}

#[test]
fn a_clock_that_creeps_back_goes_on_all_the_same() {
    let (placed, jumps) = run(video(), (0..200).map(|number| (100_000 - number * 90) * MILLI));
    assert!(placed[199] > 1000, "{placed:?}");
    assert!(jumps > 10);
}

#[test]
fn a_pause_that_the_clock_has_counted_stays() {
    let mut line = TimeLine::new();
    let id = line.track(video()).unwrap();
    for (millis, jumped) in [(0, false), (40, false), (20_040, false), (20_080, false)] {
        let placed = line.place(id, millis * MILLI, millis * MILLI, at(millis + 7));
        assert_eq!((placed.dts.nanos() / 1_000_000, placed.jumped), (millis, jumped));
    }
}

#[test]
fn a_file_whose_sound_is_shorter_stays_together_when_it_starts_again() {
    // 10 s of pictures and 8 s of sound, three times.
    let mut line = TimeLine::new();
    let (pictures, sound) = (line.track(video()).unwrap(), line.track(audio()).unwrap());
    let mut last = (0, 0);
    for round in 0..3 {
        for number in 0..250_i64 {
            let (raw, arrival) = (number * FRAME, at(round * 10_000 + number * 40));
            last.0 = line.place(pictures, raw, raw, arrival).dts.nanos() / 1_000_000;
            if number < 200 {
                last.1 = line.place(sound, raw, raw, arrival).dts.nanos() / 1_000_000;
                assert_eq!(last.0, last.1, "round {round}, unit {number}");
            }
        }
    }
    assert_eq!((last.0, line.jumps()), (30_000 - 40, 2));
}

#[test]
fn who_started_again_too_early_waits_for_the_other() {
    // The sound of 8 s starts again at once, while the pictures go on to 10 s.
    let mut line = TimeLine::new();
    let (pictures, sound) = (line.track(video()).unwrap(), line.track(audio()).unwrap());
    let mut place =
        |id, raw: i64, arrival| line.place(id, raw * MILLI, raw * MILLI, at(arrival)).dts.nanos() / 1_000_000;
    for time in (0..8000).step_by(40) {
        place(pictures, time, time);
        place(sound, time, time);
    }
    for time in (8000..10_000).step_by(40) {
        place(pictures, time, time);
        place(sound, time - 8000, time);
    }
    assert_eq!(place(pictures, 0, 10_000), 10_000);
    assert_eq!(place(sound, 2000, 10_000), 12_000);
    assert_eq!(place(pictures, 2000, 12_000), 12_000);
}

#[test]
fn tracks_with_clocks_of_their_own_are_placed_by_their_arrival() {
    let mut line = TimeLine::new();
    let own = |clock: Clock| Clock { origin: Origin::Own, ..clock };
    let (pictures, sound) = (line.track(own(video())).unwrap(), line.track(own(audio())).unwrap());
    assert_eq!(line.place(pictures, 4_000_000_000, 4_000_000_000, at(1000)).dts, MediaTime::ZERO);
    let placed = line.place(sound, 17, 17, at(1030));
    assert_eq!(placed.dts, MediaTime::from_nanos(30_000_000));
    assert!(!placed.jumped);
}

/// The sender starts again: sound after a second, pictures half a second later, each with another clock.
#[test]
fn tracks_with_clocks_of_their_own_stay_together_when_the_sender_starts_again() {
    let mut line = TimeLine::new();
    let own = |clock| Clock { origin: Origin::Own, ..clock };
    let (pictures, sound) = (line.track(own(video())).unwrap(), line.track(own(audio())).unwrap());
    for (track, clock, again) in [(pictures, 3_000_000_000_i64, 3_500), (sound, 70_000_000, 3_000)] {
        for millis in (0..2_000).step_by(20) {
            line.place(track, 500_000_000 + millis * MILLI, 0, at(millis));
        }
        let placed = line.place(track, clock, clock, at(again));
        assert!(placed.jumped);
        assert_eq!(placed.dts.nanos() / 1_000_000, again);
    }
}

#[test]
fn the_order_of_showing_is_kept_within_reason() {
    let mut line = TimeLine::new();
    let id = line.track(video()).unwrap();
    let mut composition = |dts: i64, pts: i64| {
        let placed = line.place(id, dts * MILLI, pts * MILLI, at(dts));
        placed.pts.since(placed.dts).as_millis()
    };
    assert_eq!(composition(0, 80), 80);
    assert_eq!(composition(40, 20), 0);
    assert_eq!(composition(80, 60_000), 5000);
    // Across the wrap.
    let near = i64::from(u32::MAX) - 10 * MILLI;
    let mut line = TimeLine::new();
    let id = line.track(video()).unwrap();
    let placed = line.place(id, near, (near + 40 * MILLI) & i64::from(u32::MAX), at(0));
    assert_eq!(placed.pts.since(placed.dts).as_millis(), 40);
}

/// Two hours at 25 pictures a second of a clock that is off by so many parts in a million, with a jitter of the arrivals; gives the greatest distance
/// to our clock and the greatest difference between pictures and sound, in milliseconds.
fn drift(parts: i64) -> (i64, i64) {
    let mut line = TimeLine::new();
    let clock = |clock| Clock { rate: 1_000_000, wrap: Wrap::Never, ..clock };
    let (pictures, sound) = (line.track(clock(video())).unwrap(), line.track(clock(audio())).unwrap());
    let (mut most, mut apart) = (0, 0);
    for number in 0..180_000_i64 {
        let (ours, theirs) = (number * 40, number * (40_000 + parts / 25));
        let jitter = (number * 7919) % 30;
        let [picture, sound] = [pictures, sound].map(|id| {
            let placed = line.place(id, theirs, theirs, at(ours + jitter));
            placed.dts.nanos() / 1_000_000
        });
        most = most.max((picture - ours).abs());
        apart = apart.max((picture - sound).abs());
    }
    assert_eq!(line.jumps(), 0);
    (most, apart)
}

#[test]
fn a_clock_that_is_too_fast_or_too_slow_stays_near_ours() {
    for parts in [-1000, -100, 100, 1000, 10_000] {
        let (most, apart) = drift(parts);
        println!("{parts} ppm: at most {most} ms from our clock, pictures and sound {apart} ms apart");
        assert!(most <= 350, "{parts} ppm: {most} ms");
        assert_eq!(apart, 0);
    }
    assert!(drift(0).0 <= 30);
}

#[test]
fn delays_of_the_network_are_not_taken_for_drift() {
    let mut line = TimeLine::new();
    let id = line.track(video()).unwrap();
    for number in 0..5000_i64 {
        let sent = number * 40;
        // Every seventh second is late.
        let delay = if sent / 1000 % 7 == 5 { 600 + number % 300 } else { number % 20 };
        let placed = line.place(id, number * FRAME, number * FRAME, at(sent + delay));
        assert_eq!(placed.dts.nanos() / 1_000_000, sent, "unit {number}, delayed by {delay} ms");
    }
}
