//! How motion is looked for.

use crate::{
    VisionError,
    region::{self, Point},
};
use std::time::Duration;

/// Most zones of one picture.
pub const MAX_ZONES: usize = 16;
/// Most letters of a zone's name.
const MAX_NAME: usize = 64;

/// How motion is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionSettings {
    /// Where; the whole picture when empty.
    pub zones: Vec<Zone>,
    /// For the whole picture, where there are no zones: 1 (little is told) to 100 (much).
    pub sensitivity: u8,
    /// Least part of a zone that must move: from 0.0001 to 1. Never less than about 12 pixels of a picture 320 pixels long.
    pub min_area: f32,
    /// Motion has ended after so much stillness: 0.5 s to 10 min.
    pub hold: Duration,
    /// Looks a second: 1 to 15.
    pub rate: u32,
    /// Time at the beginning in which the picture is learned and nothing is told: up to 5 min.
    pub warm_up: Duration,
}

/// A part of the picture that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name, which events tell; unlike those of the others.
    pub name: String,
    /// Corners of a polygon, in parts of the picture.
    pub points: Vec<Point>,
    /// 1 (little is told) to 100 (much).
    pub sensitivity: u8,
}

impl Default for MotionSettings {
    /// The whole picture at medium sensitivity, five looks a second, five seconds of stillness.
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            sensitivity: 50,
            min_area: 0.0005,
            hold: Duration::from_secs(5),
            rate: 5,
            warm_up: Duration::from_secs(10),
        }
    }
}

impl MotionSettings {
    /// Checks all of it; errors name fields as `motion.zones[0].name`.
    pub fn check(&self) -> Result<(), VisionError> {
        if self.zones.len() > MAX_ZONES {
            return Err(VisionError::setting("motion.zones", format!("at most {MAX_ZONES} polygons")));
        }
        for (index, zone) in self.zones.iter().enumerate() {
            self.check_zone(index, zone)?;
        }
        check_sensitivity(self.sensitivity, "motion.sensitivity")?;
        // Also false for what is no number.
        if !(0.0001..=1.0).contains(&self.min_area) {
            return Err(VisionError::setting("motion.min_area", "a part of the zone, from 0.0001 to 1"));
        }
        if !(Duration::from_millis(500)..=Duration::from_mins(10)).contains(&self.hold) {
            return Err(VisionError::setting("motion.hold", "from 500 ms to 10 min"));
        }
        if !(1..=15).contains(&self.rate) {
            return Err(VisionError::setting("motion.rate", "from 1 to 15 looks a second"));
        }
        if self.warm_up > Duration::from_mins(5) {
            return Err(VisionError::setting("motion.warm_up", "up to 5 min"));
        }
        Ok(())
    }

    fn check_zone(&self, index: usize, zone: &Zone) -> Result<(), VisionError> {
        let field = |name: &str| format!("motion.zones[{index}].{name}");
        if zone.name.is_empty() || zone.name.chars().count() > MAX_NAME {
            let wanted = format!("from 1 to {MAX_NAME} characters long");
            return Err(VisionError::setting(field("name"), wanted));
        }
        if self.zones.iter().take(index).any(|other| other.name == zone.name) {
            return Err(VisionError::setting(field("name"), "unlike the names of the other zones"));
        }
        region::check(&zone.points, &field("points"))?;
        check_sensitivity(zone.sensitivity, &field("sensitivity"))
    }
}

fn check_sensitivity(sensitivity: u8, field: &str) -> Result<(), VisionError> {
    if (1..=100).contains(&sensitivity) {
        return Ok(());
    }
    Err(VisionError::setting(field, "from 1 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(settings: &MotionSettings) -> String {
        let error = settings.check().unwrap_err();
        println!("{error}");
        error.field().unwrap().to_owned()
    }

    #[test]
    fn each_mistake_names_its_field() {
        let points = vec![Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 1.0)];
        let zone = Zone { name: "door".to_owned(), points, sensitivity: 50 };
        let good = MotionSettings { zones: vec![zone.clone()], ..MotionSettings::default() };
        good.check().unwrap();
        let zones = |zones| MotionSettings { zones, ..good.clone() };
        let other = Zone { name: "drive".to_owned(), ..zone.clone() };
        assert_eq!(wrong(&zones(vec![zone.clone(), zone.clone()])), "motion.zones[1].name");
        let unnamed = Zone { name: String::new(), ..zone.clone() };
        assert_eq!(wrong(&zones(vec![unnamed])), "motion.zones[0].name");
        let dull = Zone { sensitivity: 0, ..other.clone() };
        assert_eq!(wrong(&zones(vec![zone.clone(), dull])), "motion.zones[1].sensitivity");
        let thin = Zone { points: zone.points[..2].to_vec(), ..other };
        assert_eq!(wrong(&zones(vec![thin])), "motion.zones[0].points");
        assert_eq!(wrong(&zones(vec![zone; MAX_ZONES + 1])), "motion.zones");
        assert_eq!(wrong(&MotionSettings { sensitivity: 101, ..good.clone() }), "motion.sensitivity");
        assert_eq!(wrong(&MotionSettings { min_area: f32::NAN, ..good.clone() }), "motion.min_area");
        assert_eq!(wrong(&MotionSettings { hold: Duration::ZERO, ..good.clone() }), "motion.hold");
        assert_eq!(wrong(&MotionSettings { rate: 0, ..good.clone() }), "motion.rate");
        assert_eq!(wrong(&MotionSettings { warm_up: Duration::from_hours(1), ..good }), "motion.warm_up");
    }
}
