//! Cameras that send JPEG over HTTP: one after the other in one answer (`multipart/x-mixed-replace`), or a still picture that is fetched again and again.

mod parts;

use crate::{
    HttpClient, HttpError, HttpTarget,
    http::{Answer, Body},
    rtsp::Rate,
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use parts::{PartError, Parts};
use patchbay_av::{LivePictures, LiveSettings, PictureSender, Shot};
use patchbay_media::hub::{Publisher, Reason, Source, SourceError};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Least time between two still pictures.
pub const FASTEST: Duration = Duration::from_millis(50);

/// How pictures are received and encoded.
#[derive(Clone, Debug)]
pub struct MjpegSettings {
    /// Time between two still pictures, where the address gives one at a time; at least [`FASTEST`].
    pub every: Duration,
    /// Most bytes of a picture.
    pub picture_bytes: usize,
    /// How they are encoded.
    pub live: LiveSettings,
}

impl Default for MjpegSettings {
    /// A still picture a second, 8 MiB each at most.
    fn default() -> Self {
        Self { every: Duration::from_secs(1), picture_bytes: 8 << 20, live: LiveSettings::default() }
    }
}

/// A camera that sends JPEG over HTTP, as a source of the hub.
pub struct MjpegSource {
    client: HttpClient,
    settings: MjpegSettings,
}

impl MjpegSource {
    /// Checks the address; nothing is connected to yet.
    pub fn new(target: HttpTarget, settings: MjpegSettings) -> Result<Self, HttpError> {
        Ok(Self { client: HttpClient::new(target)?, settings })
    }

    async fn play(&self, publisher: Publisher, stop: &CancellationToken) -> Result<(), SourceError> {
        let answer = self.client.get(&self.client.target().url, 0).await?;
        let (sender, pictures) = LivePictures::new(self.settings.live.clone());
        let mut encoding = pictures.run(publisher, stop.clone());
        tokio::select! {
            encoded = &mut encoding => encoded,
            received = self.receive(answer, sender) => {
                // What the encoder says is nearer to the cause: the pictures could not be used.
                encoding.await?;
                received
            }
        }
    }

    /// Until the stream ends, which is an error, or nobody encodes any more.
    async fn receive(&self, mut answer: Answer, sender: PictureSender) -> Result<(), SourceError> {
        match kind(&mut answer).await? {
            Kind::Stream(boundary) => self.stream(answer.body, &boundary, &sender).await,
            Kind::Still => self.stills(answer.body, &sender).await,
        }
    }

    async fn stream(
        &self,
        mut body: Body,
        boundary: &str,
        sender: &PictureSender,
    ) -> Result<(), SourceError> {
        let mut parts = Parts::new(boundary, self.settings.picture_bytes);
        let limits = self.client.target().limits;
        let within = limits.stall_timeout;
        let mut rate = Rate::new(limits.units_per_second, std::time::Instant::now());
        loop {
            // A deadline for each picture as a whole: one that comes byte by byte is none either.
            let next = timeout(within, next_part(&mut body, &mut parts)).await;
            match next.map_err(|_| HttpError::Stalled(within.as_secs()))?? {
                Some(_) if !rate.add(1, std::time::Instant::now()) => return Err(too_many()),
                Some(picture) => {
                    if !sender.send(Shot::Jpeg(picture)) {
                        return Ok(());
                    }
                }
                None => return Err(ended()),
            }
        }
    }

    async fn stills(&self, first: Body, sender: &PictureSender) -> Result<(), SourceError> {
        let within = self.client.target().limits.stall_timeout;
        let mut ticks = interval(self.settings.every.max(FASTEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Some(first);
        loop {
            ticks.tick().await;
            let deadline = Instant::now() + within;
            let body = match next.take() {
                Some(first) => first,
                None => self.client.get(&self.client.target().url, 0).await?.body,
            };
            let whole = tokio::time::timeout_at(deadline, body.whole(self.settings.picture_bytes)).await;
            let picture = whole.map_err(|_| HttpError::Stalled(within.as_secs()))??;
            let picture = picture.ok_or_else(|| self.too_long())?;
            if !sender.send(Shot::Jpeg(picture)) {
                return Ok(());
            }
        }
    }

    fn too_long(&self) -> SourceError {
        PartError::TooLong(self.settings.picture_bytes).into()
    }
}

impl Source for MjpegSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            tokio::select! {
                result = self.play(publisher, &stop) => result,
                () = stop.cancelled() => Ok(()),
            }
        }
        .boxed()
    }
}

/// What an address gives.
enum Kind {
    Stream(String),
    Still,
}

async fn kind(answer: &mut Answer) -> Result<Kind, SourceError> {
    match answer.media_type.as_str() {
        kind if kind.starts_with("multipart/") => Ok(Kind::Stream(parts::boundary(&answer.content_type))),
        // Some do not say what they send, or say it wrongly: how it begins tells whether boundaries come. Of what is none of it,
        // the encoder finds out whether it is a picture.
        "image/jpeg" | "image/jpg" | "image/pjpeg" | "" | "application/octet-stream" => {
            let is_stream = parts::begins_with_boundary(&answer.body.peek(parts::BEGINNING).await?);
            Ok(if is_stream { Kind::Stream(String::new()) } else { Kind::Still })
        }
        kind if kind.starts_with("video/")
            && parts::begins_with_boundary(&answer.body.peek(parts::BEGINNING).await?) =>
        {
            Ok(Kind::Stream(String::new()))
        }
        other => {
            let shown: String = other.chars().filter(char::is_ascii_graphic).take(60).collect();
            let hint =
                if other == "text/html" { ": that is a page for people, perhaps its login" } else { "" };
            let text = format!(
                "the address gives {shown} and no pictures{hint}; look in the camera's manual for its address of MJPEG or snapshots"
            );
            Err(SourceError::temporary(text).because(Reason::Protocol))
        }
    }
}

async fn next_part(body: &mut Body, parts: &mut Parts) -> Result<Option<Bytes>, SourceError> {
    loop {
        if let Some(part) = parts.next()? {
            return Ok(Some(part));
        }
        match body.next().await? {
            Some(bytes) => parts.push(&bytes),
            None => return Ok(None),
        }
    }
}

fn too_many() -> SourceError {
    let text = "the camera sends more pictures than any camera does: lower its frame rate";
    SourceError::temporary(text).because(Reason::Protocol)
}

fn ended() -> SourceError {
    SourceError::temporary("the camera has ended the stream of pictures").because(Reason::Ended)
}

#[cfg(test)]
#[path = "mjpeg_tests.rs"]
mod tests;
