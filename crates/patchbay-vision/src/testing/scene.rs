//! A street as a camera sees it, with the truth about what moves: noise, flicker of lamps, slow changes of light, shadows of clouds, a lamp that is switched,
//! trees in the wind, rain; and people, cars and cyclists, near and far, some hard to tell from what is behind them, some standing still for a while.
//!
//! Everything follows from a seed. Light alone; colours stay grey.

use super::Random;
use patchbay_av::{Picture, PicturePool, PictureSize, Plane};

pub(crate) const WIDTH: usize = 640;
pub(crate) const HEIGHT: usize = 360;

/// How the camera sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeing {
    /// Part of daylight.
    pub(crate) light: f32,
    /// Deviation of the sensor's noise, in steps of light.
    pub(crate) noise: f32,
    /// Bits a second of the camera's encoder, for five pictures.
    pub(crate) bitrate: u32,
    /// Trees are in the wind, and clouds, lamps and rain come.
    pub(crate) weather: bool,
}

pub(crate) const DAY: Seeing = Seeing { light: 1.0, noise: 3.0, bitrate: 350_000, weather: true };
pub(crate) const NIGHT: Seeing = Seeing { light: 0.45, noise: 7.0, bitrate: 250_000, weather: true };

/// Something that goes through the picture.
#[derive(Clone, Debug)]
pub(crate) struct Mover {
    pub(crate) kind: &'static str,
    pub(crate) from: f32,
    /// When it stands still, if it does.
    pub(crate) rest: Option<(f32, f32)>,
    pub(crate) to: f32,
    start: (f32, f32),
    end: (f32, f32),
    size: (f32, f32),
    /// Difference from the ground on which it is; every other patch of it differs less.
    contrast: f32,
}

impl Mover {
    /// The times in which it moves.
    pub(crate) fn moves(&self) -> Vec<(f32, f32)> {
        match self.rest {
            Some((from, to)) => vec![(self.from, from), (to, self.to)],
            None => vec![(self.from, self.to)],
        }
    }

    fn place(&self, time: f32) -> Option<(f32, f32)> {
        if time < self.from || time > self.to {
            return None;
        }
        let (rested, whole) = match self.rest {
            Some((from, to)) => ((time - from).clamp(0.0, to - from), to - from),
            None => (0.0, 0.0),
        };
        let part = (time - self.from - rested) / (self.to - self.from - whole);
        let along = |from: f32, to: f32| from + (to - from) * part;
        Some((along(self.start.0, self.end.0), along(self.start.1, self.end.1)))
    }
}

pub(crate) struct Scene {
    seeing: Seeing,
    seed: u64,
    background: Vec<f32>,
    noise: Vec<f32>,
    pub(crate) movers: Vec<Mover>,
    pub(crate) seconds: f32,
    pool: PicturePool,
}

/// Before the first one comes.
const QUIET: f32 = 25.0;

impl Scene {
    /// A clip with so many movers; with none, of so many seconds.
    pub(crate) fn new(seed: u64, seeing: Seeing, movers: usize, seconds: f32) -> Self {
        let mut random = Random::new(seed);
        let background = background(&mut random);
        let noise = (0..WIDTH * HEIGHT + 65_536).map(|_| random.normal() * seeing.noise).collect();
        let mut list: Vec<Mover> = Vec::new();
        for _ in 0..movers {
            let from = list.last().map_or(QUIET, |last| last.to) + random.between(6.0, 10.0);
            let mut mover = mover(&mut random, from);
            // As it is seen in the picture.
            mover.contrast /= seeing.light;
            list.push(mover);
        }
        let seconds = list.last().map_or(seconds, |last| last.to + 8.0);
        let pool = PicturePool::new(PictureSize::new(WIDTH as u32, HEIGHT as u32).unwrap());
        Self { seeing, seed, background, noise, movers: list, seconds, pool }
    }

    /// The picture of a moment, in seconds.
    pub(crate) fn draw(&self, time: f32) -> Picture {
        let mut light = self.background.clone();
        if self.seeing.weather {
            self.sway(&mut light, time);
        }
        for mover in &self.movers {
            if let Some(place) = mover.place(time) {
                put(&mut light, mover, place);
            }
        }
        self.shine(&mut light, time);
        if self.seeing.weather && (100.0..160.0).contains(&(time % 300.0)) {
            rain(&mut light, self.seed ^ u64::from(time.to_bits()));
        }
        self.expose(&light, time)
    }

    /// The upper right corner is a tree: each row of its leaves goes its own way.
    fn sway(&self, light: &mut [f32], time: f32) {
        for y in 0..100 {
            let phase = y as f32 * 0.21;
            let by = 2.2 * (time * 1.7 + phase).sin() + 1.2 * (time * 3.9 + phase * 2.0).sin();
            for x in 520..WIDTH {
                let from = (x as f32 + by).clamp(500.0, (WIDTH - 2) as f32);
                let (whole, part) = (from as usize, from.fract());
                let row = &self.background[y * WIDTH..(y + 1) * WIDTH];
                light[y * WIDTH + x] = row[whole] * (1.0 - part) + row[whole + 1] * part;
            }
        }
    }

    /// The light that falls on it.
    fn shine(&self, light: &mut [f32], time: f32) {
        let mut all = self.seeing.light * (1.0 + 0.012 * (time * 2.0 * std::f32::consts::PI * 3.3).sin());
        if !self.seeing.weather {
            for light in light.iter_mut() {
                *light *= all;
            }
            return;
        }
        all *= 1.0 + 0.2 * (time * 2.0 * std::f32::consts::PI / 90.0).sin();
        // The street lamps go on for a minute in each five.
        if (210.0..270.0).contains(&(time % 300.0)) {
            all *= 1.5;
        }
        let window = (70.0..85.0).contains(&(time % 130.0));
        // A cloud's shadow crosses in 14 s, each 75 s; its edge is a hundred pixels soft.
        let front = (time + self.seed as f32 * 7.0) % 75.0 / 14.0 * (WIDTH as f32 + 500.0) - 400.0;
        for (y, row) in light.chunks_mut(WIDTH).enumerate() {
            for (x, light) in row.iter_mut().enumerate() {
                let along = x as f32 + y as f32 * 0.4 - front;
                let inside = (along / 100.0).clamp(0.0, 1.0) * ((400.0 - along) / 100.0).clamp(0.0, 1.0);
                *light *= all * (1.0 - 0.3 * inside);
                if window && (60..130).contains(&x) && (60..120).contains(&y) {
                    *light += 70.0;
                }
            }
        }
    }

    fn expose(&self, light: &[f32], time: f32) -> Picture {
        let mut canvas = self.pool.take().unwrap();
        canvas.plane_mut(Plane::U).fill(128);
        canvas.plane_mut(Plane::V).fill(128);
        let shift = Random::new(self.seed ^ u64::from(time.to_bits())).next() % 65_536;
        let noise = &self.noise[usize::try_from(shift).unwrap()..];
        let stride = canvas.stride(Plane::Y);
        let rows = canvas.plane_mut(Plane::Y).chunks_mut(stride);
        for ((row, light), noise) in rows.zip(light.chunks(WIDTH)).zip(noise.chunks(WIDTH)) {
            for ((pixel, light), noise) in row.iter_mut().zip(light).zip(noise) {
                *pixel = (16.0 + light + noise).clamp(16.0, 235.0) as u8;
            }
        }
        canvas.finish()
    }
}

/// Sky, a house with windows, a hedge, a pavement and a road, each with its own grain.
fn background(random: &mut Random) -> Vec<f32> {
    let coarse = grain(random, 24);
    let fine = grain(random, 5);
    let mut light = vec![0.0; WIDTH * HEIGHT];
    for (index, light) in light.iter_mut().enumerate() {
        let (x, y) = (index % WIDTH, index / WIDTH);
        let (base, rough) = match (x, y) {
            (0..420, 40..190) => {
                let window = (x / 10 % 10) > 5 && (y / 10 % 6) > 2;
                (if window { 55.0 } else { 125.0 }, 8.0)
            }
            (520.., 0..100) => (70.0, 55.0),
            (_, 0..120) => (165.0 - y as f32 * 0.2, 4.0),
            (_, 120..220) => (80.0, 30.0),
            (_, 220..260) => (130.0, 10.0),
            _ => (95.0 + (y - 260) as f32 * 0.1, 12.0),
        };
        *light = base + rough * (0.5 * coarse[index] + 0.5 * fine[index]);
    }
    light
}

/// Smooth noise from -1 to 1 with spots of that many pixels.
fn grain(random: &mut Random, spot: usize) -> Vec<f32> {
    let (columns, rows) = (WIDTH / spot + 2, HEIGHT / spot + 2);
    let knots: Vec<f32> = (0..columns * rows).map(|_| random.between(-1.0, 1.0)).collect();
    let value = |index: usize| {
        let (x, y) = ((index % WIDTH) as f32 / spot as f32, (index / WIDTH) as f32 / spot as f32);
        let (column, row, right, down) = (x as usize, y as usize, x.fract(), y.fract());
        let knot = |column: usize, row: usize| knots[row * columns + column];
        let upper = knot(column, row) * (1.0 - right) + knot(column + 1, row) * right;
        let lower = knot(column, row + 1) * (1.0 - right) + knot(column + 1, row + 1) * right;
        upper * (1.0 - down) + lower * down
    };
    (0..WIDTH * HEIGHT).map(value).collect()
}

fn mover(random: &mut Random, from: f32) -> Mover {
    let sign = if random.part() < 0.5 { -1.0 } else { 1.0 };
    let (kind, size, speed, ground, contrast) = match random.next() % 6 {
        0 => ("person far away", (11.0, 28.0), random.between(12.0, 25.0), 235.0, random.between(30.0, 60.0)),
        1 => ("person", (22.0, 58.0), random.between(25.0, 50.0), 270.0, random.between(25.0, 60.0)),
        2 => (
            "person hard to see",
            (24.0, 62.0),
            random.between(25.0, 50.0),
            285.0,
            random.between(14.0, 18.0),
        ),
        3 => ("person near", (60.0, 150.0), random.between(40.0, 90.0), 345.0, random.between(25.0, 60.0)),
        4 => ("cyclist", (34.0, 46.0), random.between(90.0, 140.0), 290.0, random.between(25.0, 60.0)),
        _ => ("car", (110.0, 46.0), random.between(120.0, 260.0), 325.0, random.between(30.0, 70.0)),
    };
    // Nobody walks for a minute in front of this camera.
    let whole = WIDTH as f32 + size.0;
    let way = if speed < 60.0 { random.between(speed * 4.0, speed * 9.0) } else { whole };
    let begin =
        if way < whole { random.between(20.0, (WIDTH as f32 - way - 20.0).max(21.0)) } else { -size.0 / 2.0 };
    let (left, right) = ((begin, ground), (begin + way, ground + random.between(-6.0, 6.0)));
    let (start, end) = if sign > 0.0 { (left, right) } else { (right, left) };
    let walking = way / speed;
    let rests = way < whole && random.part() < 0.3;
    let rest = rests.then(|| (from + walking / 2.0, from + walking / 2.0 + random.between(8.0, 14.0)));
    let pause = rest.map_or(0.0, |(from, to)| to - from);
    let contrast = contrast * if random.part() < 0.5 { -1.0 } else { 1.0 };
    Mover { kind, from, rest, to: from + walking + pause, start, end, size, contrast }
}

/// Draws a mover with its feet at a place: a body, or a lower and a smaller upper part where it is wide.
fn put(light: &mut [f32], mover: &Mover, (x, y): (f32, f32)) {
    let (width, height) = mover.size;
    // Legs and wheels: the lower part is a little wider and narrower in turn.
    let stride = 1.0 + 0.12 * (x * 0.3).sin();
    let ground = mean(light, y);
    for row in 0..height as usize {
        let part = row as f32 / height;
        let half = match (width > height, part < 0.45) {
            (true, true) => width * 0.3,
            (true, false) => width * 0.5,
            (false, true) => width * (0.2 + 0.5 * part),
            (false, false) => width * 0.42 * stride,
        };
        let line = y - height + row as f32;
        if !(0.0..HEIGHT as f32).contains(&line) {
            continue;
        }
        let (from, to) = ((x - half).max(0.0), (x + half).min(WIDTH as f32));
        for column in from as usize..to.max(0.0) as usize {
            let pixel = &mut light[line as usize * WIDTH + column];
            let cloth = if (row / 7 + column / 9) % 2 == 0 { 1.0 } else { 0.7 };
            // Something opaque: hides most of the grain behind it.
            *pixel = ground + 0.3 * (*pixel - ground) + mover.contrast * cloth;
        }
    }
}

/// Mean of a row of the picture.
fn mean(light: &[f32], y: f32) -> f32 {
    let row = (y.max(0.0) as usize).min(HEIGHT - 1) * WIDTH;
    light[row..row + WIDTH].iter().sum::<f32>() / WIDTH as f32
}

/// Bright strokes, others in each picture.
fn rain(light: &mut [f32], seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..70 {
        let (x, y) = (random.between(0.0, WIDTH as f32 - 8.0), random.between(0.0, HEIGHT as f32 - 14.0));
        for step in 0..12 {
            light[(y as usize + step) * WIDTH + x as usize + step / 4] += 26.0;
        }
    }
}
