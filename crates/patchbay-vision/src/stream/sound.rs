//! Sound on its way from the source inside to the outer one: untouched, not copied.

use futures_util::future::{BoxFuture, FutureExt, join_all};
use patchbay_media::{AccessUnit, ring::Reader, track::TrackWriter};
use std::convert::Infallible;
use tokio::sync::mpsc;

/// One track of sound.
pub(super) struct Lane {
    pub(super) reader: Reader<AccessUnit>,
    pub(super) writer: TrackWriter,
}

/// Carries the sound of the newest tracks that were published, for ever.
pub(super) async fn carry(mut published: mpsc::Receiver<Vec<Lane>>) -> Infallible {
    let mut carrying: BoxFuture<'static, ()> = std::future::pending().boxed();
    loop {
        tokio::select! {
            biased;
            lanes = published.recv() => match lanes {
                Some(lanes) => carrying = all(lanes),
                None => return std::future::pending().await,
            },
            () = &mut carrying => carrying = std::future::pending().boxed(),
        }
    }
}

/// Until all have ended. A writer is kept until then, so that a track ends no sooner than what it is made of.
fn all(lanes: Vec<Lane>) -> BoxFuture<'static, ()> {
    let copies = lanes.into_iter().map(|Lane { mut reader, mut writer }| async move {
        while let Ok(read) = reader.next().await {
            writer.write(read.entry.item.clone());
        }
    });
    join_all(copies).map(drop).boxed()
}
