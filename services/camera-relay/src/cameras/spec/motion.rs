//! The search for what moves before a camera.

use super::{PointSpec, Violation, processing::polygon_problem, within};
use patchbay_chassis::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

const SENSITIVITIES: RangeInclusive<u32> = 1..=100;
const HOLDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);
const MAX_ZONES: usize = 16;
const MAX_NAME: usize = 32;

/// Looks for what moves; such a camera is captured always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MotionSpec {
    /// Where; the whole picture when empty.
    pub zones: Vec<ZoneSpec>,
    /// How little is enough, 1 to 100.
    pub sensitivity: u32,
    /// Stillness after which a motion has ended, 1 s to 5 min.
    pub hold: Span,
}

impl Default for MotionSpec {
    fn default() -> Self {
        Self { zones: Vec::new(), sensitivity: 50, hold: Span::seconds(5) }
    }
}

/// A part of the picture in which motion counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ZoneSpec {
    /// Name.
    pub name: String,
    /// Corners of a polygon, each `{ x = 0.1, y = 0.2 }` with parts of width and height.
    pub points: Vec<PointSpec>,
    /// How little is enough, 1 to 100; that of the camera when 0.
    pub sensitivity: u32,
}

impl MotionSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        within(found, "motion.sensitivity", self.sensitivity, &SENSITIVITIES);
        if !HOLDS.contains(&self.hold.duration()) {
            found.push(Violation::new("motion.hold", "must be from 1 s to 300 s"));
        }
        if self.zones.len() > MAX_ZONES {
            found.push(Violation::new("motion.zones", format!("must be {MAX_ZONES} at most")));
        }
        let mut names = HashSet::new();
        // However many there are, and however long, the answer stays small.
        for zone in self.zones.iter().take(MAX_ZONES) {
            let length = zone.name.chars().count();
            if !(1..=MAX_NAME).contains(&length) || zone.name.chars().any(char::is_control) {
                let problem = format!("must be 1 to {MAX_NAME} characters, without control characters");
                found.push(Violation::new("motion.zones.name", problem));
            }
            if !names.insert(&zone.name) && length <= MAX_NAME {
                found.push(Violation::new("motion.zones.name", format!("is there twice: `{}`", zone.name)));
            }
            if zone.sensitivity != 0 {
                within(found, "motion.zones.sensitivity", zone.sensitivity, &SENSITIVITIES);
            }
            found.extend(
                polygon_problem(&zone.points).map(|problem| Violation::new("motion.zones.points", problem)),
            );
        }
    }
}
