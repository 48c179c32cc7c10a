//! Processing and the search for motion, both ways.

use super::{duration, source::span};
use crate::{
    cameras::{
        CornerSpec, MaskSpec, MaskStyleSpec, MotionSpec, OverlaySpec, PointSpec, ProcessingSpec, ZoneSpec,
    },
    error::Error,
};
use patchbay_proto::camera::v1 as pb;

pub(super) fn processing(spec: &ProcessingSpec) -> pb::Processing {
    let mask = |mask: &MaskSpec| pb::Mask {
        points: points(&mask.points),
        style: match mask.style {
            MaskStyleSpec::Black => pb::MaskStyle::Unspecified.into(),
            MaskStyleSpec::Pixelate => pb::MaskStyle::Pixelate.into(),
        },
    };
    pb::Processing {
        overlay: spec.overlay.as_ref().map(overlay),
        height: spec.height,
        masks: spec.masks.iter().map(mask).collect(),
        bitrate: spec.bitrate,
    }
}

fn overlay(overlay: &OverlaySpec) -> pb::Overlay {
    let corner = match overlay.corner {
        CornerSpec::TopLeft => pb::Corner::Unspecified,
        CornerSpec::TopRight => pb::Corner::TopRight,
        CornerSpec::BottomLeft => pb::Corner::BottomLeft,
        CornerSpec::BottomRight => pb::Corner::BottomRight,
    };
    pb::Overlay { corner: corner.into(), time_zone: overlay.time_zone.clone(), title: overlay.title.clone() }
}

pub(super) fn motion(spec: &MotionSpec) -> pb::MotionDetection {
    let zone = |zone: &ZoneSpec| pb::MotionZone {
        name: zone.name.clone(),
        points: points(&zone.points),
        sensitivity: zone.sensitivity,
    };
    pb::MotionDetection {
        zones: spec.zones.iter().map(zone).collect(),
        sensitivity: spec.sensitivity,
        hold: Some(duration(spec.hold.duration())),
    }
}

fn points(points: &[PointSpec]) -> Vec<pb::Point> {
    points.iter().map(|point| pb::Point { x: point.x, y: point.y }).collect()
}

/// Words that are not known take the usual meaning: they change nothing that anybody relies on.
pub(super) fn processing_spec(given: pb::Processing) -> ProcessingSpec {
    let mask = |mask: pb::Mask| MaskSpec {
        style: match mask.style() {
            pb::MaskStyle::Unspecified => MaskStyleSpec::Black,
            pb::MaskStyle::Pixelate => MaskStyleSpec::Pixelate,
        },
        points: point_specs(mask.points),
    };
    let overlay = |overlay: pb::Overlay| OverlaySpec {
        corner: match overlay.corner() {
            pb::Corner::Unspecified => CornerSpec::TopLeft,
            pb::Corner::TopRight => CornerSpec::TopRight,
            pb::Corner::BottomLeft => CornerSpec::BottomLeft,
            pb::Corner::BottomRight => CornerSpec::BottomRight,
        },
        time_zone: overlay.time_zone,
        title: overlay.title,
    };
    ProcessingSpec {
        overlay: given.overlay.map(overlay),
        height: given.height,
        masks: given.masks.into_iter().map(mask).collect(),
        bitrate: given.bitrate,
    }
}

pub(super) fn motion_spec(given: pb::MotionDetection) -> Result<MotionSpec, Error> {
    let usual = MotionSpec::default();
    let hold = span(given.hold, usual.hold, "camera.motion.hold", "must be from 1 s to 300 s")?;
    let zone = |zone: pb::MotionZone| ZoneSpec {
        name: zone.name,
        points: point_specs(zone.points),
        sensitivity: zone.sensitivity,
    };
    Ok(MotionSpec {
        zones: given.zones.into_iter().map(zone).collect(),
        sensitivity: if given.sensitivity == 0 { usual.sensitivity } else { given.sensitivity },
        hold,
    })
}

fn point_specs(points: Vec<pb::Point>) -> Vec<PointSpec> {
    points.into_iter().map(|point| PointSpec { x: point.x, y: point.y }).collect()
}
