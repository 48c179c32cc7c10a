//! From a camera's settings to those of the parts that work on its pictures.

use crate::{
    cameras::{CornerSpec, MaskSpec, MaskStyleSpec, MotionSpec, OverlaySpec, PointSpec, ProcessingSpec},
    config,
};
use patchbay_vision::{Corner, Mask, MaskStyle, MotionSettings, Overlay, Point, ProcessingSettings, Zone};
use std::time::Duration;

/// How motion is looked for. The specification's bounds are narrower than those of the settings.
pub(crate) fn motion_settings(spec: &MotionSpec, section: &config::Motion) -> MotionSettings {
    let zone = |zone: &crate::cameras::ZoneSpec| Zone {
        name: zone.name.clone(),
        points: points(&zone.points),
        sensitivity: part(if zone.sensitivity == 0 { spec.sensitivity } else { zone.sensitivity }),
    };
    MotionSettings {
        zones: spec.zones.iter().map(zone).collect(),
        sensitivity: part(spec.sensitivity),
        hold: spec.hold.duration(),
        rate: section.looks,
        ..MotionSettings::default()
    }
}

/// What is done with the pictures; `key_frame_gap` is the least time between key frames that viewers ask for.
pub(crate) fn processing_settings(spec: &ProcessingSpec, key_frame_gap: Duration) -> ProcessingSettings {
    ProcessingSettings {
        overlay: spec.overlay.as_ref().map(overlay),
        height: (spec.height != 0).then(|| u16::try_from(spec.height).unwrap_or(u16::MAX)),
        masks: spec.masks.iter().map(mask).collect(),
        bitrate: (spec.bitrate != 0).then_some(spec.bitrate),
        key_frame_gap,
        ..ProcessingSettings::default()
    }
}

fn overlay(spec: &OverlaySpec) -> Overlay {
    let zone = if spec.time_zone.is_empty() { "UTC" } else { &spec.time_zone };
    Overlay {
        corner: match spec.corner {
            CornerSpec::TopLeft => Corner::TopLeft,
            CornerSpec::TopRight => Corner::TopRight,
            CornerSpec::BottomLeft => Corner::BottomLeft,
            CornerSpec::BottomRight => Corner::BottomRight,
        },
        zone: zone.to_owned(),
        title: (!spec.title.is_empty()).then(|| spec.title.clone()),
        scale: 1.0,
    }
}

fn mask(spec: &MaskSpec) -> Mask {
    let style = match spec.style {
        MaskStyleSpec::Black => MaskStyle::Black,
        MaskStyleSpec::Pixelate => MaskStyle::Pixelate,
    };
    Mask { points: points(&spec.points), style }
}

fn points(specs: &[PointSpec]) -> Vec<Point> {
    specs.iter().map(|point| Point::new(narrow(point.x), narrow(point.y))).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a part of a picture, far finer than its pixels in either"
)]
fn narrow(part: f64) -> f32 {
    part as f32
}

fn part(of_hundred: u32) -> u8 {
    u8::try_from(of_hundred).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::ZoneSpec;
    use patchbay_chassis::Span;

    fn triangle() -> Vec<PointSpec> {
        vec![PointSpec { x: 0.0, y: 0.0 }, PointSpec { x: 1.0, y: 0.0 }, PointSpec { x: 0.5, y: 1.0 }]
    }

    #[test]
    fn the_widest_settings_of_a_camera_are_taken() {
        let zone = |name: String, sensitivity| ZoneSpec { name, points: triangle(), sensitivity };
        let motion = MotionSpec {
            zones: (0..16).map(|number| zone(format!("{number:032}"), number * 6)).collect(),
            sensitivity: 100,
            hold: Span::seconds(300),
        };
        let settings = motion_settings(&motion, &config::Motion { looks: 15, ..config::Motion::default() });
        settings.check().unwrap();
        assert_eq!((settings.zones[0].sensitivity, settings.zones[1].sensitivity), (100, 6));
        let processing = ProcessingSpec {
            overlay: Some(OverlaySpec {
                corner: CornerSpec::BottomRight,
                time_zone: "Europe/Berlin".to_owned(),
                title: "x".repeat(64),
            }),
            height: 2160,
            masks: vec![MaskSpec { points: triangle(), style: MaskStyleSpec::Pixelate }; 16],
            bitrate: 20_000_000,
        };
        processing_settings(&processing, Duration::from_secs(10)).check().unwrap();
        let narrowest = ProcessingSpec { height: 64, bitrate: 50_000, ..ProcessingSpec::default() };
        processing_settings(&narrowest, Duration::ZERO).check().unwrap();
        let least = MotionSpec { sensitivity: 1, hold: Span::seconds(1), zones: Vec::new() };
        motion_settings(&least, &config::Motion { looks: 1, ..config::Motion::default() }).check().unwrap();
    }
}
