//! `ListMotion` and `GetMotionPicture`.

use super::{cameras::allowed, convert, page};
use crate::{
    announce,
    caller::Action,
    cameras::CameraName,
    core::Core,
    error::Error,
    motion::{Mark, MotionId},
};
use patchbay_proto::camera::v1 as pb;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Motions of a page where the caller does not say how many, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 500;

/// A page of the motions of a camera.
pub(super) async fn list(
    core: &Arc<Core>,
    request: Request<pb::ListMotionRequest>,
) -> Result<Response<pb::ListMotionResponse>, Status> {
    let name = allowed(&request, Action::Read, &request.get_ref().name)?;
    core.cameras.get(&name)?;
    let pb::ListMotionRequest { from, until, page_size, page_token, .. } = request.into_inner();
    let size = page::size(page_size, PAGE, MAX_PAGE)?;
    let after = match page_token.as_str() {
        "" => None,
        token => Some(id("page_token", token)?),
    };
    let from = from.map_or(Ok(0), |from| millis("from", from))?;
    let now = core.context.clock.now_millis();
    let until = until.map_or(Ok(now), |until| millis("until", until))?;
    if from > until {
        return Err(Error::bad("from", "must not be after `until`").into());
    }
    let (found, more) = core.motions.list(&name, (from, until), after.as_ref(), size).await?;
    let next_page_token = match found.last() {
        Some((id, _)) if more => id.to_string(),
        _ => String::new(),
    };
    let shown = |(id, mark): (MotionId, Mark)| pb::Motion {
        id: id.to_string(),
        camera: name.to_string(),
        ended: mark.shown_end(now).map(convert::timestamp),
        began: Some(convert::timestamp(mark.began)),
        zones: mark.zones,
        score: mark.score,
        has_picture: mark.picture,
    };
    let motions = found.into_iter().map(shown).collect();
    Ok(Response::new(pb::ListMotionResponse { motions, next_page_token }))
}

/// The picture of a motion.
pub(super) async fn picture(
    core: &Arc<Core>,
    request: Request<pb::GetMotionPictureRequest>,
) -> Result<Response<pb::GetMotionPictureResponse>, Status> {
    let name = allowed(&request, Action::View, &request.get_ref().name)?;
    core.cameras.get(&name)?;
    let id = id("id", &request.get_ref().id)?;
    let picture = core.motions.picture(&name, &id).await?;
    let (jpeg, time) = picture.ok_or_else(|| Error::NoMotionPicture(id.to_string()))?;
    Ok(Response::new(pb::GetMotionPictureResponse { jpeg, time: Some(convert::timestamp(time)) }))
}

fn id(field: &'static str, text: &str) -> Result<MotionId, Error> {
    text.parse().map_err(|error| Error::bad(field, format!("{error}")))
}

/// Milliseconds since 1970; what lies before is 1970.
fn millis(field: &'static str, time: prost_types::Timestamp) -> Result<u64, Error> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(Error::bad(field, "must have from 0 to 999999999 nanoseconds"));
    }
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    let nanos = u64::try_from(time.nanos).unwrap_or(0);
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

/// Removes what is kept of a camera that was removed. What fails here goes when it is too old.
pub(super) async fn forget(core: &Core, name: &CameraName) {
    if let Err(error) = core.motions.forget(name).await {
        tracing::warn!(camera = %name, %error, "motions of a camera that was removed are still kept");
    }
    if let Err(error) = announce::forget(core, name).await {
        tracing::warn!(camera = %name, %error, "it is still known how a camera was that was removed");
    }
}
