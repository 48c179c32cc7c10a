//! `ProbeSource` and `DiscoverSources`: who may, for how long, and the answers' form.

use super::{
    cameras::name,
    convert::{self, duration},
};
use crate::{
    caller::{Action, Caller},
    core::Core,
    discovery::{self, Discovered},
    error::Error,
    probe::{self, Findings, Found, Step},
};
use patchbay_proto::camera::v1 as pb;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// Time for a probe: least and most, and where the caller does not say.
const PROBE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_mins(1);
const USUAL_PROBE: Duration = Duration::from_secs(15);

/// Time for a search: least and most, and where the caller does not say.
const SEARCH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);
const USUAL_SEARCH: Duration = Duration::from_secs(3);

/// When calls of gRPC and REST end by themselves, where the caller asks for no less; and what of that is kept for the answer.
const CALL: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(1);

pub(super) async fn probe(
    core: &Arc<Core>,
    request: Request<pb::ProbeSourceRequest>,
) -> Result<Response<pb::ProbeSourceResponse>, Status> {
    let caller = Caller::of(&request)?;
    let left = left(request.metadata());
    let pb::ProbeSourceRequest { camera, timeout } = request.into_inner();
    let camera = camera.ok_or_else(|| Error::bad("camera", "must be set"))?;
    let name = name("camera.name", &camera.name)?;
    caller.require(Action::Write, &name)?;
    let within = time(timeout, &PROBE, USUAL_PROBE)?.min(left);
    let source = pb::Camera { processing: None, motion: None, ..camera };
    let spec = convert::spec(source)?;
    let kind = spec.source.kind();
    let findings = probe::probe(core, &name, spec, within).await?;
    let reason = findings.problem.as_ref().map_or("", |problem| problem.reason.word());
    tracing::info!(camera = %name, kind, reason, by = %caller.identity().subject, "source probed");
    Ok(Response::new(probed(findings)))
}

pub(super) async fn discover(
    core: &Arc<Core>,
    request: Request<pb::DiscoverSourcesRequest>,
) -> Result<Response<pb::DiscoverSourcesResponse>, Status> {
    let caller = Caller::of(&request)?;
    require_all(&caller)?;
    let left = left(request.metadata());
    let within = time(request.into_inner().timeout, &SEARCH, USUAL_SEARCH)?.min(left);
    let found = discovery::discover(core, within).await?;
    tracing::info!(found = found.len(), by = %caller.identity().subject, "cameras looked for");
    Ok(Response::new(pb::DiscoverSourcesResponse { sources: found.into_iter().map(discovered).collect() }))
}

/// Requires `media:write:*`: who finds cameras may add any.
pub(super) fn require_all(caller: &Caller) -> Result<(), Error> {
    let may = caller.identity().allows("media", Action::Write.word(), "*");
    if may { Ok(()) } else { Err(Error::Denied("media:write:*".to_owned())) }
}

/// How long may be looked so that there is time for the answer.
pub(super) fn left(metadata: &MetadataMap) -> Duration {
    let asked = patchbay_chassis::grpc_timeout(metadata.as_ref());
    asked.map_or(CALL, |asked| asked.min(CALL)).saturating_sub(ANSWER)
}

pub(super) fn time(
    given: Option<prost_types::Duration>,
    bounds: &RangeInclusive<Duration>,
    usual: Duration,
) -> Result<Duration, Error> {
    let Some(given) = given else { return Ok(usual) };
    let time = Duration::try_from(given).ok().filter(|time| bounds.contains(time));
    time.ok_or_else(|| {
        let (least, most) = (bounds.start().as_secs(), bounds.end().as_secs());
        Error::bad("timeout", format!("must be from {least} s to {most} s"))
    })
}

fn probed(findings: Findings) -> pb::ProbeSourceResponse {
    let (reason, detail) = match findings.problem {
        Some(problem) => (problem.reason.word().to_owned(), problem.detail),
        None => Default::default(),
    };
    let (advice_codes, advice) =
        findings.advice.into_iter().map(|one| (one.topic.word().to_owned(), one.words)).unzip();
    pb::ProbeSourceResponse {
        ok: reason.is_empty(),
        reason,
        detail,
        steps: findings.steps.into_iter().map(step).collect(),
        tracks: findings.tracks.into_iter().map(track).collect(),
        advice,
        advice_codes,
        picture: findings.picture,
    }
}

fn step(step: Step) -> pb::ProbeStep {
    pb::ProbeStep {
        name: step.name.word().to_owned(),
        ok: step.ok,
        took: Some(duration(step.took)),
        detail: step.detail,
    }
}

fn track(found: Found) -> pb::ProbeTrack {
    let Found { info, figures, profile, delivery } = found;
    let track = pb::CameraTrack {
        codec: info.codec.name().to_owned(),
        width: info.width.into(),
        height: info.height.into(),
        channels: info.channels.into(),
        rate: figures.rate,
        bitrate: figures.bitrate,
        key_frame_interval: figures.key_frame_interval.map(duration),
        transcoded: false,
        why: String::new(),
        reordered: info.reordered,
    };
    pb::ProbeTrack {
        track: Some(track),
        profile,
        passes_through: delivery.passes_through,
        delivery: delivery.words,
    }
}

fn discovered(found: Discovered) -> pb::DiscoveredSource {
    let Discovered { kind, name, address, urls } = found;
    pb::DiscoveredSource { kind: kind.to_owned(), name, address, urls }
}
