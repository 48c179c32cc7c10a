//! A plaintext on its way through.

use super::{Opened, Piece, pieces::Parts, refused};
use patchbay_crypto::chunked::Encryptor;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::Status;

/// What comes out: the header, and then chunks.
pub(crate) struct Encrypting<S> {
    parts: Parts<S>,
    encryptor: Encryptor,
    /// Bytes of the header, until they have been given out.
    header: Vec<u8>,
}

/// One step of a message.
pub(crate) enum Step<T> {
    /// More is to come.
    More(Vec<u8>, T),
    /// The end.
    Last(Vec<u8>),
}

impl<S, P> Encrypting<S>
where
    S: Stream<Item = Result<P, Status>> + Unpin,
    P: Piece,
{
    /// Begins; `first` are the bytes of the first message.
    pub(crate) fn new(opened: Opened, pieces: S, patience: Duration, first: bytes::Bytes) -> Self {
        Self {
            header: opened.header.to_bytes(),
            encryptor: Encryptor::new(opened.key),
            parts: Parts::new(pieces, patience, first),
        }
    }

    /// The next bytes of the ciphertext, as soon as there are some.
    pub(crate) async fn step(mut self) -> Result<Step<Self>, Status> {
        let mut out = std::mem::take(&mut self.header);
        loop {
            let Some(part) = self.parts.next().await? else {
                self.encryptor.finish(&mut out).map_err(refused)?;
                return Ok(Step::Last(out));
            };
            out.reserve(self.encryptor.output_len(part.len()));
            self.encryptor.update(&part, &mut out).map_err(refused)?;
            if !out.is_empty() {
                return Ok(Step::More(out, self));
            }
        }
    }
}
