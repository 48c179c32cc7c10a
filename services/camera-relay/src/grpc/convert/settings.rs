//! A camera's settings, both ways.

use super::{processing, source};
use crate::{
    cameras::{Camera, CameraSpec, Capture, Origin},
    error::Error,
};
use patchbay_proto::camera::v1 as pb;

/// How much of a camera's settings is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grpc) enum Shown {
    /// All but secrets.
    Whole,
    /// Nothing of where the pictures come from but the kind.
    WithoutPlace,
}

/// A camera without how it is.
pub(in crate::grpc) fn settings(camera: &Camera, shown: Shown) -> pb::Camera {
    let CameraSpec { title, source, capture, processing, motion } = &camera.spec;
    pb::Camera {
        name: camera.name.to_string(),
        title: title.clone(),
        source: Some(source::shown(source, shown)),
        always_on: *capture == Capture::Always,
        configured: camera.origin == Origin::Configured,
        revision: match camera.origin {
            Origin::Configured => 0,
            Origin::Added { revision } => revision,
        },
        status: None,
        processing: processing.as_ref().map(processing::processing),
        motion: motion.as_ref().map(processing::motion),
    }
}

/// Settings as a caller gives them; what is left at zero takes its default. Bounds are looked at later.
pub(in crate::grpc) fn spec(camera: pb::Camera) -> Result<CameraSpec, Error> {
    let source = camera.source.ok_or_else(|| {
        let problem = "or `file`, `rtsp`, `url`, `mjpeg`, `device` or `opencv` must be set";
        Error::bad("camera.test", problem)
    })?;
    Ok(CameraSpec {
        title: camera.title,
        source: source::spec(source)?,
        capture: if camera.always_on { Capture::Always } else { Capture::OnDemand },
        processing: camera.processing.map(processing::processing_spec),
        motion: camera.motion.map(processing::motion_spec).transpose()?,
    })
}
