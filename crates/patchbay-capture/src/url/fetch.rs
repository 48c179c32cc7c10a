//! Gives libav, on its thread, the bytes of addresses.

use crate::{
    HttpClient, HttpError,
    http::{Answer, Body},
};
use bytes::{Buf, Bytes};
use patchbay_av::{Opened, Opener};
use patchbay_media::hub::{Reason, SourceError};
use std::{
    future::Future,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use url::Url;

/// How a playlist begins (RFC 8216, section 4.3.1.1).
pub(super) const LIST_MARK: &[u8] = b"#EXTM3U";
/// Most bytes of a playlist: libav keeps all of it.
const LIST_BYTES: u64 = 1 << 20;
/// Most places of one file from which it is read anew.
const JUMPS: u32 = 300;
/// What lies so near ahead is read over, instead of being fetched anew.
const NEAR: u64 = 256 * 1024;

/// Opens addresses by HTTP.
pub(super) struct HttpOpener {
    client: Arc<HttpClient>,
    /// Drives connections while libav's thread waits for them.
    runtime: Handle,
    stop: CancellationToken,
    first: Option<Fetch>,
}

impl HttpOpener {
    /// To be made on a task: it remembers the runtime.
    pub(super) fn new(client: Arc<HttpClient>, stop: CancellationToken) -> Self {
        Self { client, runtime: Handle::current(), stop, first: None }
    }

    /// What was fetched already.
    pub(super) fn with_first(self, first: Fetch) -> Self {
        Self { first: Some(first), ..self }
    }
}

impl Opener for HttpOpener {
    fn open(&mut self, address: &str) -> Result<Opened, SourceError> {
        let fetch = match self.first.take() {
            Some(first) => first,
            None => self.fetch(address)?,
        };
        let is_seekable = fetch.is_seekable;
        Ok(Opened { stream: Box::new(fetch), is_seekable })
    }
}

impl HttpOpener {
    fn fetch(&self, address: &str) -> Result<Fetch, SourceError> {
        if address.starts_with("crypto") {
            let text = "the playlist is encrypted, which is not supported; use one that is not";
            return Err(SourceError::temporary(text).because(Reason::Codec));
        }
        let url = Url::parse(address).map_err(|_| HttpError::NoHost)?;
        let begun = async {
            let mut answer = self.client.get(&url, 0).await?;
            let head = answer.body.peek(LIST_MARK.len()).await?;
            Ok((answer, head))
        };
        let (answer, head) = wait(&self.runtime, &self.stop, begun)?;
        Ok(Fetch::begun(self, answer, &head))
    }
}

/// Waits on a thread that is no runtime's.
fn wait<T>(
    runtime: &Handle,
    stop: &CancellationToken,
    waited_for: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    runtime.block_on(async {
        tokio::select! {
            result = waited_for => result,
            () = stop.cancelled() => Err(HttpError::Stopped),
        }
    })
}

/// A body that can be read from any place where its host allows that.
pub(super) struct Fetch {
    client: Arc<HttpClient>,
    runtime: Handle,
    stop: CancellationToken,
    url: Url,
    body: Body,
    piece: Bytes,
    /// Where the next byte of the body belongs.
    at: u64,
    /// Where libav reads next.
    wanted: u64,
    length: Option<u64>,
    is_seekable: bool,
    is_list: bool,
    jumps: u32,
    /// Why nothing comes any more: libav asks again after a failure, and must not get what lies behind it.
    failure: Option<SourceError>,
}

impl Fetch {
    /// An answer of which is known how it begins, however it was cut: a list must be known as one, or it has no bound.
    pub(super) fn begun(opener: &HttpOpener, answer: Answer, head: &[u8]) -> Self {
        Self {
            client: Arc::clone(&opener.client),
            runtime: opener.runtime.clone(),
            stop: opener.stop.clone(),
            is_seekable: answer.has_ranges && answer.length.is_some(),
            is_list: head.starts_with(LIST_MARK),
            url: answer.url,
            length: answer.length,
            body: answer.body,
            piece: Bytes::new(),
            at: 0,
            wanted: 0,
            jumps: 0,
            failure: None,
        }
    }

    /// The next piece; false at the end.
    fn fill(&mut self) -> Result<bool, SourceError> {
        let Some(piece) = wait(&self.runtime, &self.stop, self.body.next())? else { return Ok(false) };
        self.piece = piece;
        if self.is_list && self.at > LIST_BYTES {
            let text = "the playlist is longer than 1 MiB; use one with fewer entries";
            return Err(SourceError::temporary(text).because(Reason::Protocol));
        }
        Ok(true)
    }

    /// Goes to where libav reads.
    fn go(&mut self) -> Result<bool, SourceError> {
        if self.wanted < self.at || self.wanted > self.at.saturating_add(NEAR) {
            self.jump()?;
        }
        while self.at < self.wanted {
            if self.piece.is_empty() && !self.fill()? {
                return Ok(false);
            }
            let over = usize::try_from(self.wanted - self.at).unwrap_or(usize::MAX).min(self.piece.len());
            self.take(over);
        }
        Ok(true)
    }

    fn jump(&mut self) -> Result<(), SourceError> {
        self.jumps += 1;
        if self.jumps > JUMPS {
            let text = "the file is read back and forth without end; make its parts interleaved (for MP4: -movflags +faststart)";
            return Err(SourceError::temporary(text).because(Reason::Protocol));
        }
        let answer = wait(&self.runtime, &self.stop, self.client.get(&self.url, self.wanted))?;
        (self.body, self.piece, self.at) = (answer.body, Bytes::new(), self.wanted);
        Ok(())
    }

    fn take(&mut self, bytes: usize) {
        self.piece.advance(bytes);
        self.at = self.at.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn next(&mut self, into: &mut [u8]) -> Result<usize, SourceError> {
        if self.length.is_some_and(|length| self.wanted >= length) || !self.go()? {
            return Ok(0);
        }
        if self.piece.is_empty() && !self.fill()? {
            return Ok(0);
        }
        let bytes = self.piece.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..bytes), self.piece.get(..bytes)) {
            into.copy_from_slice(from);
        }
        self.take(bytes);
        self.wanted = self.at;
        Ok(bytes)
    }
}

impl Read for Fetch {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = &self.failure {
            return Err(io::Error::other(failure.clone()));
        }
        self.next(into).map_err(|failure| io::Error::other(self.failure.insert(failure).clone()))
    }
}

impl Seek for Fetch {
    /// Only says where; fetches when it is read.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.wanted.checked_add_signed(by),
            SeekFrom::End(by) => self.length.and_then(|length| length.checked_add_signed(by)),
        };
        self.wanted = wanted.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.wanted)
    }
}
