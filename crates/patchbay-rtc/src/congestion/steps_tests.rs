use super::*;

const MS: Duration = Duration::from_millis(1);

/// What a way does to what is sent, in words of feedback each 100 ms.
struct Way {
    /// Bits a second.
    carries: u64,
    /// Longest queue; beyond it packets are lost.
    longest: Duration,
}

struct World {
    steps: Steps,
    now: Instant,
    begun: Instant,
    queue: Duration,
    probe: Option<(Instant, u64)>,
    /// What happened, and after how many milliseconds.
    said: Vec<(u128, Order)>,
    /// Time that what was sent waited most.
    worst: Duration,
}

/// For sums with parts.
fn kilo(bits: u64) -> f64 {
    f64::from(u32::try_from(bits / 1_000).unwrap())
}

const FULL: u64 = 3_000_000;
const LOW: u64 = 750_000;
const KEYS: u64 = 50_000;

impl World {
    fn new(probes: Probes) -> Self {
        let now = Instant::now();
        Self {
            steps: Steps::new(probes, now),
            now,
            begun: now,
            queue: Duration::ZERO,
            probe: None,
            said: Vec::new(),
            worst: Duration::ZERO,
        }
    }

    fn run(&mut self, way: &Way, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.tick(way);
        }
    }

    fn tick(&mut self, way: &Way) {
        self.now += 100 * MS;
        let quality = self.steps.quality();
        let (sends, track) = match quality {
            Quality::Full => (FULL, FULL),
            Quality::Low => (LOW, LOW),
            Quality::KeyFrames => (KEYS, LOW),
        };
        self.probe = self.probe.filter(|_| self.steps.is_probing());
        let probed = self.probe.filter(|(until, _)| self.now < *until).map_or(0, |(_, rate)| rate);
        let sends = sends.max(probed);
        let before = self.queue;
        let queued = u64::try_from(before.as_micros()).unwrap() + 100_000 * sends / way.carries;
        let queue = Duration::from_micros(queued.saturating_sub(100_000));
        let loss = if queue > way.longest { 1.0 - kilo(way.carries) / kilo(sends) } else { 0.0 };
        self.queue = queue.min(way.longest);
        self.worst = self.worst.max(self.queue);
        let signals = Signals {
            queue: self.queue,
            standing: Some(before.min(self.queue)),
            growth: (self.queue.as_secs_f64() - before.as_secs_f64()) * 10.0,
            loss: Some(loss),
            arriving: Some(if self.queue > MS { way.carries } else { sends }),
            silence: Duration::ZERO,
        };
        let Some(order) = self.steps.decide(&signals, Some(track), self.now) else { return };
        self.said.push((self.now.duration_since(self.begun).as_millis(), order));
        match order {
            Order::Step(_) => self.steps.applied(self.queue, self.now),
            Order::Probe(rate) => self.probe = Some((self.now + PROBE_TIME, rate)),
        }
    }

    fn steps(&self) -> Vec<Quality> {
        let steps = self.said.iter().filter_map(|(_, order)| match order {
            Order::Step(quality) => Some(*quality),
            Order::Probe(_) => None,
        });
        steps.collect()
    }
}

const DEEP: Duration = Duration::from_secs(3);

#[test]
fn who_has_room_is_left_alone() {
    let mut world = World::new(Probes::Possible);
    world.run(&Way { carries: 4_000_000, longest: DEEP }, 600);
    assert_eq!((world.said.len(), world.steps.available()), (0, None));
}

#[test]
fn a_narrow_way_gets_the_smaller_picture_and_is_probed_less_and_less() {
    let mut world = World::new(Probes::Possible);
    world.run(&Way { carries: 1_000_000, longest: DEEP }, 300);
    println!("{:?}, worst queue {:?}", world.said, world.worst);
    assert_eq!(
        world.steps(),
        [Quality::Low],
        "no probe got through, so that nothing was tried with pictures"
    );
    assert!(world.said[0].0 < 3_000, "within a second and a half after the start");
    let probes = world.said.iter().skip(1).map(|(at, _)| *at).collect::<Vec<_>>();
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= 9_900));
    assert!((5..10).contains(&probes.len()), "{probes:?}");
}

#[test]
fn a_way_for_nothing_but_key_frames_gets_these_at_once_and_a_wider_one_all_again() {
    let mut world = World::new(Probes::Possible);
    world.run(&Way { carries: 100_000, longest: Duration::from_millis(400) }, 20);
    println!("{:?}", world.said);
    assert_eq!(world.steps(), [Quality::KeyFrames]);
    world.said.clear();
    world.run(&Way { carries: 20_000_000, longest: DEEP }, 120);
    println!("{:?}", world.said);
    assert_eq!(world.steps(), [Quality::Low, Quality::Full]);
    assert_eq!(world.steps.available(), None, "after a while with everything there is no limit any more");
}

#[test]
fn without_probes_a_step_up_that_fails_is_taken_back_soon_and_tried_more_and_more_rarely() {
    let mut world = World::new(Probes::Impossible);
    world.run(&Way { carries: 1_000_000, longest: DEEP }, 300);
    println!("{:?}, worst queue {:?}", world.said, world.worst);
    let ups = world.said.iter().filter(|(_, order)| *order == Order::Step(Quality::Full)).count();
    assert!((3..9).contains(&ups));
    for pair in world.said.windows(2).filter(|pair| pair[0].1 == Order::Step(Quality::Full)) {
        assert!(pair[1].0 - pair[0].0 <= 1_000, "{pair:?}");
    }
    assert!(!world.steps().contains(&Quality::KeyFrames));
}

#[test]
fn losses_that_the_way_has_of_itself_do_not_take_all_movement() {
    let mut steps = Steps::new(Probes::Possible, Instant::now());
    let mut now = Instant::now();
    let signals = Signals {
        standing: Some(Duration::ZERO),
        loss: Some(0.15),
        arriving: Some(2_500_000),
        ..Signals::default()
    };
    for _ in 0..600 {
        now += 100 * MS;
        if let Some(Order::Step(_)) = steps.decide(&signals, Some(FULL), now) {
            steps.applied(Duration::ZERO, now);
        }
    }
    assert_eq!(steps.quality(), Quality::Low);
}

#[test]
fn where_there_is_no_smaller_picture_it_is_ordered_once() {
    let mut world = World::new(Probes::Possible);
    world.run(&Way { carries: 1_000_000, longest: DEEP }, 3);
    assert_eq!(world.steps(), [Quality::Low]);
    world.steps.given(Quality::KeyFrames, world.now);
    world.run(&Way { carries: 20_000_000, longest: DEEP }, 60);
    println!("{:?}", world.said);
    assert_eq!(world.steps(), [Quality::Low, Quality::Full]);
}

/// Whoever makes it was busy; the way is wide enough for it, and not for everything.
#[test]
fn a_smaller_picture_that_was_missing_is_asked_for_again_later() {
    let mut world = World::new(Probes::Possible);
    let way = Way { carries: 1_500_000, longest: DEEP };
    world.run(&way, 3);
    assert_eq!(world.steps(), [Quality::Low]);
    world.steps.given(Quality::KeyFrames, world.now);
    let before = world.now;
    world.run(&way, 240);
    println!("{:?}, {:?}", world.said, world.now - before);
    assert_eq!(world.steps.quality(), Quality::Low);
    assert_eq!(world.steps(), [Quality::Low, Quality::Low]);
}

#[test]
fn for_one_who_is_silent_nothing_smaller_is_made() {
    let now = Instant::now();
    let mut steps = Steps::new(Probes::Possible, now);
    let signals = Signals { silence: Duration::from_secs(3), ..Signals::default() };
    let order = steps.decide(&signals, Some(FULL), now + Duration::from_secs(5));
    assert_eq!(order, None);
    let queue = Duration::from_secs(3);
    let order = steps.decide(&Signals { queue, ..signals }, Some(FULL), now + Duration::from_secs(6));
    assert_eq!(order, Some(Order::Step(Quality::Low)));
}
