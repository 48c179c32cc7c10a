//! A ciphertext on its way through.

use super::{HEADER, Header, Opened, PART, Piece, Range, encrypting::Step, open, pieces::Parts, refused};
use crate::{caller::Caller, core::Core};
use bytes::Bytes;
use patchbay_crypto::{Error as CryptoError, chunked::Decryptor};
use tokio_stream::Stream;
use tonic::Status;

/// What comes out: plaintext that is known to be genuine.
pub(crate) struct Decrypting<S> {
    parts: Parts<S>,
    decryptor: Decryptor,
    range: Range,
    version: u32,
    /// What was wrong after bytes that were genuine and have been given out.
    failed: Option<CryptoError>,
}

/// Which key opens a message.
pub(crate) struct Lock<'a> {
    /// Its name.
    pub(crate) key: &'a str,
    /// What the message is bound to.
    pub(crate) associated_data: &'a [u8],
    /// What of it is wanted.
    pub(crate) range: Range,
}

impl<S, P> Decrypting<S>
where
    S: Stream<Item = Result<P, Status>> + Unpin,
    P: Piece,
{
    /// Waits for the header and opens the message; `first` are the bytes of the first piece.
    pub(crate) async fn begin(
        core: &Core,
        caller: &Caller,
        lock: Lock<'_>,
        pieces: S,
        first: Bytes,
    ) -> Result<Self, Status> {
        // Before anything is read: who may not decrypt is told so, whatever he sends.
        caller.require_key("decrypt", lock.key)?;
        let mut parts = Parts::new(pieces, core.config.limits.patience(), first);
        let header = Header::parse(&parts.exactly(HEADER).await?)?;
        let Opened { key, header } = open(core, caller, lock.key, header, lock.associated_data).await?;
        let decryptor = Decryptor::new(key, lock.range.first_chunk());
        Ok(Self { parts, decryptor, range: lock.range, version: header.version, failed: None })
    }

    /// Version of the key that had encrypted it.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The next bytes of the plaintext, as soon as there are some. What is wanted of a range is complete before the message is: then the
    /// rest is not waited for.
    pub(crate) async fn step(mut self) -> Result<Step<Self>, Status> {
        if let Some(error) = self.failed {
            return Err(refused(error).into());
        }
        let mut out = Vec::new();
        loop {
            let Some(part) = self.parts.next().await? else {
                self.decryptor.finish(&mut out).map_err(refused)?;
                self.range.trim(&mut out);
                return Ok(Step::Last(out));
            };
            // What is left of the part before may make one chunk more.
            out.reserve(part.len().min(PART) + patchbay_crypto::chunked::CHUNK);
            self.failed = self.decryptor.update(&part, &mut out).err();
            self.range.trim(&mut out);
            if self.range.is_complete() {
                return Ok(Step::Last(out));
            }
            if !out.is_empty() {
                return Ok(Step::More(out, self));
            }
            if let Some(error) = self.failed {
                return Err(refused(error).into());
            }
        }
    }
}
