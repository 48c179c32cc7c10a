//! How well motion is found, on clips of which the truth is known; coded by x264 as a camera would, and decoded.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of a test, all small"
)]

use super::*;
use crate::testing::{
    at_ms,
    scene::{DAY, Mover, NIGHT, Scene, Seeing},
    thread_cpu_ms,
};
use patchbay_av::{KeyFrame, VideoDecoder, VideoEncoder, VideoSettings};
use patchbay_media::TrackId;
use std::time::Duration;

/// Pictures a second, each of which is looked at.
const FPS: u64 = 5;
const WARM_UP: f32 = 20.0;
const HOLD: f32 = 2.0;

/// From when to when something moves, in seconds.
type Span = (f32, f32);

/// What was told of a clip.
struct Told {
    events: Vec<Span>,
    anew: u64,
    look_ms: f64,
}

fn watch(scene: &Scene, bitrate: u32) -> Told {
    let size = scene.draw(0.0).size();
    let settings = VideoSettings {
        bitrate,
        key_frame_interval: Duration::from_secs(4),
        ..VideoSettings::h264(TrackId(0), size, u32::try_from(FPS).unwrap())
    };
    let mut encoder = VideoEncoder::open(settings).unwrap();
    let mut decoder = VideoDecoder::open(&encoder.info()).unwrap();
    let warm_up = Duration::from_secs_f32(WARM_UP);
    let mut detector = Detector::new(MotionSettings { warm_up, ..MotionSettings::default() }).unwrap();
    let mut events = Events::new(Duration::from_secs_f32(HOLD));
    let (mut told, mut began) = (Told { events: Vec::new(), anew: 0, look_ms: 0.0 }, 0.0);
    let seconds = |at: patchbay_media::MediaTime| at.nanos() as f32 / 1e9;
    let mut take = |change: Option<Change>, told: &mut Told| match change {
        Some(Change::Began { at, moving }) => {
            assert!(moving.score >= 0.5 && !moving.boxes.is_empty());
            began = seconds(at);
        }
        Some(Change::Ended { at, .. }) => told.events.push((began, seconds(at))),
        None => {}
    };
    let mut looks = 0_u32;
    for number in 0..(scene.seconds * FPS as f32) as u64 {
        let at = at_ms(number * 1_000 / FPS);
        let picture = scene.draw(number as f32 / FPS as f32);
        let unit = encoder.encode(&picture, at, KeyFrame::AsDue).unwrap().unwrap();
        let seen = decoder.decode(&unit).unwrap().pop().unwrap();
        let before = thread_cpu_ms();
        let sight = detector.look(&seen.picture, at).unwrap();
        told.look_ms += thread_cpu_ms() - before;
        looks += 1;
        take(events.see(sight, at), &mut told);
    }
    take(events.end(), &mut told);
    told.anew = detector.anew();
    told.look_ms /= f64::from(looks);
    told
}

fn overlap(one: Span, other: Span) -> f32 {
    (one.1.min(other.1) - one.0.max(other.0)).max(0.0)
}

/// Right, wrong, and missed.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    right_told: u32,
    told: u32,
    found: u32,
    there: u32,
}

impl Score {
    fn precision(self) -> f32 {
        self.right_told as f32 / self.told.max(1) as f32
    }

    fn recall(self) -> f32 {
        self.found as f32 / self.there.max(1) as f32
    }

    fn add(&mut self, other: Self) {
        self.right_told += other.right_told;
        self.told += other.told;
        self.found += other.found;
        self.there += other.there;
    }
}

/// By event: one is right when it overlaps with what is there.
fn by_event(truth: &[Span], told: &[Span]) -> Score {
    let meets = |one: Span, others: &[Span]| others.iter().any(|other| overlap(one, *other) > 0.0);
    Score {
        right_told: told.iter().filter(|event| meets(**event, truth)).count() as u32,
        told: told.len() as u32,
        found: truth.iter().filter(|event| meets(**event, told)).count() as u32,
        there: truth.len() as u32,
    }
}

/// By second: one counts as moving when half of it or more does.
fn by_second(truth: &[Span], told: &[Span], seconds: f32) -> Score {
    let mut score = Score::default();
    for second in WARM_UP as u32..seconds as u32 {
        let second = (second as f32, second as f32 + 1.0);
        let moves = |spans: &[Span]| spans.iter().map(|span| overlap(*span, second)).sum::<f32>() >= 0.5;
        let (there, said) = (moves(truth), moves(told));
        score.told += u32::from(said);
        score.there += u32::from(there);
        score.right_told += u32::from(said && there);
        score.found += u32::from(said && there);
    }
    score
}

fn judge(name: &str, seed: u64, seeing: Seeing) -> (Score, Score) {
    let scene = Scene::new(seed, seeing, 24, 0.0);
    let told = watch(&scene, seeing.bitrate);
    let truth: Vec<Span> = scene.movers.iter().flat_map(Mover::moves).collect();
    let (events, seconds) = (by_event(&truth, &told.events), by_second(&truth, &told.events, scene.seconds));
    println!(
        "{name} {seed}: {:.0} s, {} movements; by event: precision {:.3}, recall {:.3}; by second: precision {:.3}, recall {:.3}; learned anew {} times; {:.2} ms a look",
        scene.seconds,
        truth.len(),
        events.precision(),
        events.recall(),
        seconds.precision(),
        seconds.recall(),
        told.anew,
        told.look_ms,
    );
    for mover in &scene.movers {
        for span in mover.moves() {
            let first = told.events.iter().find(|event| overlap(**event, span) > 0.0);
            match first {
                Some(event) if event.0 - span.0 > 1.5 => {
                    println!("  late by {:.1} s: {} at {:.1}", event.0 - span.0, mover.kind, span.0);
                }
                Some(_) => {}
                None => println!("  missed: {} from {:.1} to {:.1}: {mover:?}", mover.kind, span.0, span.1),
            }
        }
    }
    for event in told.events.iter().filter(|event| !truth.iter().any(|span| overlap(**event, *span) > 0.0)) {
        println!("  false: {:.1} to {:.1}", event.0, event.1);
    }
    (events, seconds)
}

#[test]
fn what_moves_is_found_and_what_does_not_is_left_alone() {
    let (mut events, mut seconds) = (Score::default(), Score::default());
    for (name, seed, seeing) in [("day", 1, DAY), ("night", 2, NIGHT), ("day", 3, DAY), ("night", 4, NIGHT)] {
        let (event, second) = judge(name, seed, seeing);
        events.add(event);
        seconds.add(second);
    }
    println!(
        "by event: precision {:.3}, recall {:.3} of {}",
        events.precision(),
        events.recall(),
        events.there
    );
    println!(
        "by second: precision {:.3}, recall {:.3} of {}",
        seconds.precision(),
        seconds.recall(),
        seconds.there
    );
    for part in [events.precision(), events.recall(), seconds.precision(), seconds.recall()] {
        assert!(part >= 0.9, "{part}");
    }
}

#[test]
fn weather_alone_is_no_motion() {
    let (mut alarms, mut hours) = (0, 0.0);
    for (name, seed, seeing) in [("day", 11, DAY), ("night", 12, NIGHT)] {
        let scene = Scene::new(seed, seeing, 0, 600.0);
        let told = watch(&scene, seeing.bitrate);
        println!("{name}: {:?}; learned anew {} times", told.events, told.anew);
        alarms += told.events.len();
        hours += (scene.seconds - WARM_UP) / 3_600.0;
    }
    println!(
        "{:.1} false alarms an hour in {:.2} h of wind, clouds, rain and lamps",
        alarms as f32 / hours,
        hours
    );
    // By day a cloud passes each 75 s and lamps go on and off in between; what is left are lamps that are switched while a cloud passes.
    assert!(alarms <= 6, "{alarms} in 20 minutes of the worst weather");
}

#[test]
fn an_empty_room_is_still() {
    let seeing = Seeing { weather: false, ..NIGHT };
    let scene = Scene::new(21, seeing, 0, 400.0);
    let told = watch(&scene, seeing.bitrate);
    assert!(told.events.is_empty(), "{:?}", told.events);
}
