//! Viewers over all replicas.

use super::{convert, page};
use crate::{
    caller::{Action, Caller},
    cameras::CameraName,
    core::Core,
    error::Error,
    replicas::Question,
    viewers::{ViewerId, ViewerShown},
};
use patchbay_proto::camera::v1 as pb;
use std::sync::Arc;

/// Viewers that are asked of each replica at once.
const BATCH: usize = 1000;

/// A page of the viewers of a camera, or of all that the caller may see.
pub(super) async fn list(
    core: &Arc<Core>,
    caller: &Caller,
    camera: Option<&CameraName>,
    mut after: Option<ViewerId>,
    size: usize,
) -> Result<pb::ListViewersResponse, Error> {
    let mut found: Vec<ViewerShown> = Vec::new();
    loop {
        let question = Question::List { camera: camera.cloned(), after: after.clone(), limit: BATCH };
        let (mut batch, more) = core.ask_all(question).await?;
        after = batch.last().map(|viewer| viewer.id.clone());
        batch.retain(|viewer| caller.may(Action::Read, &viewer.camera));
        found.append(&mut batch);
        if found.len() > size || !more {
            break;
        }
    }
    let next_page_token = page::cut(&mut found, size, |viewer| viewer.id.as_str().to_owned());
    let viewers = found.into_iter().map(convert::viewer).collect();
    Ok(pb::ListViewersResponse { viewers, next_page_token })
}

/// Sends a viewer away. Its camera is looked up first, because that decides who may.
pub(super) async fn kick(core: &Arc<Core>, caller: &Caller, text: &str) -> Result<(), Error> {
    let unknown = || Error::NoViewer(text.chars().take(200).collect());
    let id = ViewerId::parse(text).ok_or_else(unknown)?;
    let viewer = core.ask(id.replica(), Question::Find { id: id.clone() }).await?.ok_or_else(unknown)?;
    caller.require(Action::Write, &viewer.camera)?;
    core.ask(id.replica(), Question::Kick { id: id.clone() }).await?.ok_or_else(unknown)?;
    tracing::info!(viewer = id.as_str(), camera = %viewer.camera, by = %caller.identity().subject, "viewer sent away");
    Ok(())
}
