//! `DescribeDevice`: who may, what is taken, and the answer's form.

use super::probe;
use crate::{
    caller::Caller,
    cameras::{ClearPassword, LoginSpec, fingerprint_bytes},
    core::Core,
    error::Error,
    onvif::{self, Description, Device, Stream},
};
use patchbay_capture::{Credentials, Trust};
use patchbay_proto::camera::v1 as pb;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

/// Time to ask: least and most, and where the caller does not say.
const TIME: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(29);
const USUAL: Duration = Duration::from_secs(15);

pub(super) async fn describe(
    core: &Arc<Core>,
    request: Request<pb::DescribeDeviceRequest>,
) -> Result<Response<pb::DescribeDeviceResponse>, Status> {
    let caller = Caller::of(&request)?;
    probe::require_all(&caller)?;
    let left = probe::left(request.metadata());
    let asked = request.into_inner();
    let within = probe::time(asked.timeout, &TIME, USUAL)?.min(left);
    let device = device(asked)?;
    let host = device.url.host_str().unwrap_or_default().to_owned();
    let description = onvif::describe(core, device, within).await?;
    let reason = description.problem.as_ref().map_or("", |(reason, _)| reason.word());
    let (streams, by) = (description.streams.len(), &caller.identity().subject);
    tracing::info!(host, streams, reason, %by, "device described");
    Ok(Response::new(described(description)))
}

fn device(asked: pb::DescribeDeviceRequest) -> Result<Device, Error> {
    let url = onvif::device_address(&asked.address).map_err(|problem| Error::bad("address", problem))?;
    let credentials = asked.login.map(credentials).transpose()?.flatten();
    let pinned = Some(asked.certificate_fingerprint).filter(|text| !text.is_empty());
    let trust = match pinned.as_deref().map(fingerprint_bytes) {
        None => Trust::Authorities,
        Some(Some(bytes)) => Trust::Fingerprint(bytes),
        Some(None) => {
            let problem = "must be the 64 hexadecimal digits of a SHA-256";
            return Err(Error::bad("certificate_fingerprint", problem));
        }
    };
    Ok(Device { url, credentials, trust })
}

/// A login as a camera may have it; none where it is empty.
fn credentials(login: pb::Login) -> Result<Option<Credentials>, Error> {
    let pb::Login { username, password, .. } = login;
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let given = (!password.is_empty()).then(|| ClearPassword::new(password.clone()));
    let spec = LoginSpec { username, given, ..LoginSpec::default() };
    match spec.problem() {
        Some(problem) => Err(Error::bad("login", problem)),
        None => Ok(Some(Credentials { username: spec.username, password: password.into() })),
    }
}

fn described(description: Description) -> pb::DescribeDeviceResponse {
    let Description { problem, maker, model, streams } = description;
    let ok = problem.is_none();
    let (reason, detail) =
        problem.map(|(reason, detail)| (reason.word().to_owned(), detail)).unwrap_or_default();
    let streams = streams.into_iter().map(stream).collect();
    pb::DescribeDeviceResponse { ok, reason, detail, maker, model, streams }
}

fn stream(stream: Stream) -> pb::DeviceStream {
    let Stream { profile, url, note } = stream;
    let (note_code, note) = note.map(|note| (note.word().to_owned(), note.to_string())).unwrap_or_default();
    pb::DeviceStream {
        token: profile.token,
        name: profile.name,
        codec: profile.codec,
        width: profile.width,
        height: profile.height,
        fps: profile.fps,
        bitrate: profile.bitrate,
        url,
        note,
        note_code,
    }
}
