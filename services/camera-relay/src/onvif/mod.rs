//! Asks an ONVIF device what it is and where its streams are: from a camera that was found, or whose address is known, to addresses for sources.
//!
//! What a device says is not believed further than needed: answers are bounded in bytes, elements and depth, profiles in number, all of it in time; every connection goes through the
//! guard of cameras; and a login is shown to the host that the caller named alone (see `address`). It travels as a digest.

mod address;
mod clock;
mod error;
mod interview;
mod media;
mod security;
mod service;
mod soap;
mod tree;

pub(crate) use address::{Note, device as device_address};
pub(crate) use media::Profile;

use crate::{core::Core, error::Error, probe::EGRESS};
use error::OnvifError;
use interview::Interview;
use patchbay_capture::{CaptureLimits, Credentials, HttpTarget, Trust};
use patchbay_egress::Guard;
use patchbay_media::hub::Reason;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// A device to ask.
pub(crate) struct Device {
    /// As `device_address` gives it.
    pub(crate) url: Url,
    /// What it asks for.
    pub(crate) credentials: Option<Credentials>,
    /// How it proves who it is, with `https`.
    pub(crate) trust: Trust,
}

/// What a device has told.
#[derive(Debug, Default)]
pub(crate) struct Description {
    /// What is wrong, in words too; none when it has told where streams are.
    pub(crate) problem: Option<(Reason, String)>,
    pub(crate) maker: String,
    pub(crate) model: String,
    pub(crate) streams: Vec<Stream>,
}

/// A stream of it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) profile: Profile,
    /// Address of RTSP without a login; empty where there is none that can be used.
    pub(crate) url: String,
    /// What is to be known of the address.
    pub(crate) note: Option<Note>,
}

/// Asks a device. Every failure of it is an answer; an error is for what cannot be tried at all. It takes a place of the probes, for it connects to where a caller says as they do. Whoever may is
/// asked before.
pub(crate) async fn describe(core: &Core, device: Device, within: Duration) -> Result<Description, Error> {
    let _place = core.probes.place()?;
    let capture = &core.config.cameras.capture;
    let limits = CaptureLimits {
        connect_timeout: capture.connect_timeout.duration(),
        stall_timeout: capture.stall_timeout.duration(),
        ..CaptureLimits::default()
    };
    let guard = Guard::new(&core.config.cameras.egress, EGRESS);
    let Device { url, credentials, trust } = device;
    let target = HttpTarget { url, credentials, trust, limits, guard };
    let mut description = Description::default();
    let asking = Interview::new(target, &core.context.clock).run(&mut description);
    let asked = timeout(within, asking).await.unwrap_or(Err(OnvifError::TimedOut(within.as_secs())));
    description.problem = asked.err().map(OnvifError::told);
    Ok(description)
}
