//! What comes in, whichever way the message goes.

use super::PART;
use crate::{error::Error, grpc::pieces};
use bytes::Bytes;
use patchbay_proto::crypto::v1 as pb;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::Status;

/// A message of a stream: in the first one stands which key and how, in the others only bytes.
pub(crate) trait Piece: Send + 'static {
    /// Name of a field that is set and belongs into the first one.
    fn belongs_first(&self) -> Option<&'static str>;

    /// Its bytes.
    fn into_chunk(self) -> Bytes;
}

impl Piece for pb::EncryptStreamRequest {
    fn belongs_first(&self) -> Option<&'static str> {
        let fields = [
            ("key", !self.key.is_empty()),
            ("associated_data", !self.associated_data.is_empty()),
            ("key_version", self.key_version != 0),
        ];
        fields.into_iter().find(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    fn into_chunk(self) -> Bytes {
        self.chunk
    }
}

impl Piece for pb::DecryptStreamRequest {
    fn belongs_first(&self) -> Option<&'static str> {
        let fields = [
            ("key", !self.key.is_empty()),
            ("associated_data", !self.associated_data.is_empty()),
            ("range", self.range.is_some()),
        ];
        fields.into_iter().find(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    fn into_chunk(self) -> Bytes {
        self.chunk
    }
}

/// The bytes of a message that comes in pieces of any size, in parts of a bounded one.
pub(super) struct Parts<S> {
    pieces: S,
    /// Time for the next one to come.
    patience: Duration,
    /// What is left of the piece that came last.
    left: Bytes,
}

impl<S, P> Parts<S>
where
    S: Stream<Item = Result<P, Status>> + Unpin,
    P: Piece,
{
    /// Goes on after the first message, whose bytes are `first`.
    pub(super) fn new(pieces: S, patience: Duration, first: Bytes) -> Self {
        Self { pieces, patience, left: first }
    }

    /// The next part; `None` is the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let has_more = self.fill().await?;
        Ok(has_more.then(|| self.cut(PART)))
    }

    /// The next bytes of a fixed number, fewer at the end.
    pub(super) async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Status> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count && self.fill().await? {
            bytes.extend_from_slice(&self.cut(count - bytes.len()));
        }
        Ok(bytes)
    }

    fn cut(&mut self, most: usize) -> Bytes {
        self.left.split_to(self.left.len().min(most))
    }

    /// Waits until some bytes are there; false is the end.
    async fn fill(&mut self) -> Result<bool, Status> {
        while self.left.is_empty() {
            let Some(piece) = pieces::next(&mut self.pieces, self.patience).await? else { return Ok(false) };
            if let Some(field) = piece.belongs_first() {
                return Err(Error::bad(field, "must be in the first message alone").into());
            }
            self.left = piece.into_chunk();
        }
        Ok(true)
    }
}
