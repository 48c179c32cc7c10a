//! The body of an MJPEG answer: a part for each picture (RFC 2046, section 5.1), as fast as the watcher takes them and no faster than it has asked for.

use super::reel::Frames;
use crate::{
    snapshot::Jpeg,
    viewers::{Figures, Measured, Registration},
    viewing::Farewell,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Type of the answer, with the boundary of its parts.
pub(super) const CONTENT_TYPE: &str = "multipart/x-mixed-replace; boundary=patchbay-picture";

/// One watcher.
pub(super) struct Stream {
    registration: Registration,
    frames: Frames,
    farewell: Farewell,
    pause: Duration,
    /// When the next picture may go.
    due: Instant,
    sent: Arc<Sent>,
}

#[derive(Default)]
struct Sent {
    pictures: AtomicU64,
    bytes: AtomicU64,
}

impl Measured for Sent {
    fn figures(&self) -> Figures {
        Figures {
            connected: true,
            transport: "http".to_owned(),
            packets_sent: self.pictures.load(Ordering::Relaxed),
            bytes_sent: self.bytes.load(Ordering::Relaxed),
            ..Figures::default()
        }
    }
}

impl Stream {
    /// At least `pause` lies between two pictures.
    pub(super) fn new(
        registration: Registration,
        frames: Frames,
        farewell: Farewell,
        pause: Duration,
    ) -> Self {
        let sent = Arc::<Sent>::default();
        registration.measure(Arc::clone(&sent) as Arc<dyn Measured>);
        Self { registration, frames, farewell, pause, due: Instant::now(), sent }
    }

    /// The parts. Nothing is made before it is asked for, so that a slow watcher gets fewer pictures and has none waiting.
    pub(super) fn beginning_with(
        self,
        first: Jpeg,
    ) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold((self, Some(first)), |(mut this, first)| async move {
            let jpeg = match first {
                Some(first) => first,
                None => this.next().await?,
            };
            Some((Ok(this.part(&jpeg)), (this, None)))
        })
    }

    async fn next(&mut self) -> Option<Jpeg> {
        let Self { registration, frames, farewell, due, .. } = self;
        let paced = async {
            sleep_until(*due).await;
            frames.next().await
        };
        tokio::select! {
            jpeg = paced => jpeg,
            _ = registration.sent_away() => None,
            () = farewell.time_to_go() => None,
        }
    }

    fn part(&mut self, jpeg: &Jpeg) -> Bytes {
        self.due = Instant::now() + self.pause;
        let length = jpeg.data.len();
        let mut part = BytesMut::with_capacity(length + 96);
        part.put_slice(b"--patchbay-picture\r\ncontent-type: image/jpeg\r\n");
        part.put_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        part.put_slice(&jpeg.data);
        part.put_slice(b"\r\n");
        self.sent.pictures.fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        part.freeze()
    }
}
