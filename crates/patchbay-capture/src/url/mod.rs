//! What is fetched from an address and read by libav: files, endless streams, and playlists (HLS, RFC 8216).
//!
//! libav has no way to a network but [`HttpClient`]: what a playlist names is checked like the address itself.

mod fetch;
mod rtsp;

pub use rtsp::LibavRtspSource;

use crate::{HttpClient, HttpError, HttpTarget, http::Answer};
use bytes::Bytes;
use fetch::{Fetch, HttpOpener, LIST_MARK};
use futures_util::{FutureExt, future::BoxFuture};
use patchbay_av::{InputSettings, LiveSettings, Via, play_input};
use patchbay_media::hub::{Publisher, Reason, Source, SourceError};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A file, stream or playlist at an address, as a source of the hub.
pub struct UrlSource {
    client: Arc<HttpClient>,
    live: LiveSettings,
}

impl UrlSource {
    /// Checks the address; nothing is connected to yet. Pictures in codecs that the hub does not carry are encoded by `live`.
    pub fn new(target: HttpTarget, live: LiveSettings) -> Result<Self, HttpError> {
        Ok(Self { client: Arc::new(HttpClient::new(target)?), live })
    }

    /// Fetches the beginning, and plays.
    async fn play(&self, publisher: Publisher, stop: CancellationToken) -> Result<(), SourceError> {
        let target = self.client.target();
        let fetched = async {
            let answer = self.client.get(&target.url, 0).await?;
            begin(answer).await
        };
        let (answer, head) = tokio::select! {
            begun = fetched => begun?,
            () = stop.cancelled() => return Ok(()),
        };
        let is_list = head.starts_with(LIST_MARK) || answer.media_type.contains("mpegurl");
        let url = answer.url.clone();
        let opener = HttpOpener::new(Arc::clone(&self.client), stop.clone());
        let first = Fetch::begun(&opener, answer, &head);
        let settings = InputSettings {
            // Where redirects have led: what a playlist names stands relative to that (RFC 8216, section 4.1).
            address: url.to_string(),
            format: is_list.then_some("hls"),
            via: Via::Opener(Box::new(opener.with_first(first))),
            open_timeout: target.limits.start_timeout,
            stall_timeout: target.limits.stall_timeout,
            live: self.live.clone(),
        };
        play_input(settings, publisher, stop).await
    }
}

impl Source for UrlSource {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move { self.play(publisher, stop).await }.boxed()
    }
}

/// The answer and its first bytes, if they may be media.
async fn begin(mut answer: Answer) -> Result<(Answer, Bytes), SourceError> {
    let is_text = answer.media_type == "text/html" || answer.media_type == "application/json";
    let head = if is_text { Bytes::new() } else { answer.body.peek(LIST_MARK.len()).await? };
    if head.is_empty() {
        let what = match answer.media_type.as_str() {
            "text/html" => "a page for people, perhaps its login",
            "application/json" => "a text for programs",
            _ => "an empty answer",
        };
        let text = format!(
            "the address gives no media but {what}; look in the camera's manual for the address of its stream"
        );
        return Err(SourceError::temporary(text).because(Reason::Protocol));
    }
    Ok((answer, head))
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
