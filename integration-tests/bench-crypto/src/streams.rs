//! Streams: what a GiB costs the server, beside an echo of the same stream and the cipher alone; how much memory 10 GB take; how quick a range far inside is.

use crate::{
    calls::create,
    report::{Large, Report, Subject},
    server::{Client, Installation, Server},
};
use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use patchbay_proto::crypto::v1 as pb;
use pb::streams_client::StreamsClient;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Name of the key.
const KEY: &str = "stream";

/// Bytes of a message of a stream.
const PIECE: usize = 256 * 1024;

/// Pieces of a measured stream: half a GiB.
const PIECES: u32 = 2048;
/// Pieces of a GiB.
const PIECES_OF_GIB: f64 = 4096.0;

/// Form of a message: bytes before the chunks, and of a chunk.
const HEADER: u64 = 61;
const CHUNK: u64 = 16 * 1024;
const SEALED_CHUNK: u64 = CHUNK + 16;

/// The large message, and the range of it that is asked for.
const LARGE: u64 = 10_000_000_000;
const OFFSET: u64 = 9_000_000_000;
const LENGTH: u64 = 1 << 20;

/// How often the range is asked for.
const TRIES: usize = 50;

/// Connections to both servers.
pub(crate) struct Streams {
    crypto: Client,
    echo: Client,
    /// A message of [`PIECES`], encrypted, in pieces.
    sealed: Vec<Bytes>,
    pieces: u32,
}

impl Streams {
    /// Makes the key and a message to decrypt.
    pub(crate) async fn prepare(
        installation: &Installation,
        crypto: &Server,
        echo: &Server,
        percent: u32,
    ) -> Result<Self> {
        let (crypto, echo) = (installation.connect(crypto)?, installation.connect(echo)?);
        create(&crypto, KEY, pb::KeyType::Aes256GcmChunked).await?;
        let pieces = (PIECES * percent / 100).max(16);
        let mut answers =
            StreamsClient::new(crypto.clone()).encrypt_stream(plain(pieces)).await?.into_inner();
        let mut sealed = Vec::new();
        while let Some(answer) = answers.message().await? {
            sealed.push(answer.chunk);
        }
        Ok(Self { crypto, echo, sealed, pieces })
    }

    /// One round.
    pub(crate) async fn measure(&self, crypto: &Server, echo: &Server, report: &mut Report) -> Result<()> {
        let gib = f64::from(self.pieces) / PIECES_OF_GIB;
        let before = echo.cpu()?;
        let answers = StreamsClient::new(self.echo.clone()).encrypt_stream(plain(self.pieces)).await?;
        drain(answers.into_inner(), |answer| answer.chunk.len(), self.bytes()).await?;
        report.add(Subject::StreamEcho, (echo.cpu()? - before) / gib);
        let before = crypto.cpu()?;
        let answers = StreamsClient::new(self.crypto.clone()).encrypt_stream(plain(self.pieces)).await?;
        drain(answers.into_inner(), |answer| answer.chunk.len(), self.bytes()).await?;
        report.add(Subject::StreamEncrypt, (crypto.cpu()? - before) / gib);
        let first = pb::DecryptStreamRequest { key: KEY.to_owned(), ..Default::default() };
        let rest: Vec<_> = self
            .sealed
            .iter()
            .map(|chunk| pb::DecryptStreamRequest { chunk: chunk.clone(), ..Default::default() })
            .collect();
        let before = crypto.cpu()?;
        let asked = stream::iter([first]).chain(stream::iter(rest));
        let answers = StreamsClient::new(self.crypto.clone()).decrypt_stream(asked).await?;
        drain(answers.into_inner(), |answer| answer.chunk.len(), self.bytes()).await?;
        report.add(Subject::StreamDecrypt, (crypto.cpu()? - before) / gib);
        report.add(Subject::StreamCipher, cipher_alone(self.bytes())? / gib);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.pieces as usize * PIECE
    }
}

/// A plaintext as it is sent.
fn plain(pieces: u32) -> impl Stream<Item = pb::EncryptStreamRequest> + Send + 'static {
    let piece = Bytes::from(vec![42; PIECE]);
    let first = pb::EncryptStreamRequest { key: KEY.to_owned(), ..Default::default() };
    let rest = stream::iter(0..pieces)
        .map(move |_| pb::EncryptStreamRequest { chunk: piece.clone(), ..Default::default() });
    stream::iter([first]).chain(rest)
}

/// Reads a stream to its end; one that is short would be quick for the wrong reason.
async fn drain<T>(
    mut answers: tonic::Streaming<T>,
    length: impl Fn(&T) -> usize,
    expected: usize,
) -> Result<()> {
    let mut received = 0;
    while let Some(answer) = answers.message().await? {
        received += length(&answer);
    }
    ensure!(received >= expected, "{received} bytes came instead of {expected}");
    Ok(())
}

/// CPU seconds of the cipher over so many bytes, in this process.
fn cipher_alone(bytes: usize) -> Result<f64> {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).ok().context("no key")?;
    let key = LessSafeKey::new(key);
    // As many buffers as a piece has chunks, so that caches help as much as they do there.
    let mut chunks = vec![vec![42; usize::try_from(CHUNK)?]; PIECE / usize::try_from(CHUNK)?];
    let begun = own_cpu();
    for number in 0..bytes / usize::try_from(CHUNK)? {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&u64::try_from(number)?.to_be_bytes());
        let place = number % chunks.len();
        let chunk = chunks.get_mut(place).context("no chunk")?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), chunk).ok().context("not sealed")?;
        ensure!(std::hint::black_box(tag).as_ref().len() == 16, "a tag is missing");
    }
    Ok(own_cpu().saturating_sub(begun).as_secs_f64())
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Encrypts 10 GB, keeps of the ciphertext what a range needs, and decrypts that.
pub(crate) async fn large(installation: &Installation, crypto: &Server, percent: u32) -> Result<Large> {
    let client = installation.connect(crypto)?;
    create(&client, KEY, pb::KeyType::Aes256GcmChunked).await?;
    let share = |bytes: u64| bytes * u64::from(percent) / 100;
    let (size, offset) = (share(LARGE), share(OFFSET));
    let pieces = u32::try_from(size / PIECE as u64)?;
    // What is allocated once for any stream is not this one's growth.
    drop(kept(&client, pieces / 50, 0..0).await?);
    let before = crypto.peak_kib()?;
    let start = HEADER + offset / CHUNK * SEALED_CHUNK;
    let end = start + (LENGTH / CHUNK + 1) * SEALED_CHUNK;
    let (header, chunks) = kept(&client, pieces, start..end).await?;
    let growth = u32::try_from(crypto.peak_kib()?.saturating_sub(before))?;
    let mut range_ms = Vec::new();
    for _ in 0..TRIES {
        range_ms.push(range(&client, offset, &header, &chunks).await?);
    }
    Ok(Large { bytes: size, growth_mib: f64::from(growth) / 1024.0, range: (LENGTH, offset), range_ms })
}

/// Encrypts zeros; returns the header and a part of the ciphertext.
async fn kept(client: &Client, pieces: u32, wanted: std::ops::Range<u64>) -> Result<(Bytes, Bytes)> {
    let mut answers = StreamsClient::new(client.clone()).encrypt_stream(plain(pieces)).await?.into_inner();
    let (mut header, mut chunks, mut place) = (Bytes::new(), Vec::new(), 0);
    while let Some(answer) = answers.message().await? {
        let chunk = answer.chunk;
        if place == 0 {
            header = chunk.slice(..usize::try_from(HEADER)?);
        }
        let end = place + chunk.len() as u64;
        let (from, to) = (wanted.start.max(place), wanted.end.min(end));
        if from < to {
            chunks.extend_from_slice(&chunk[usize::try_from(from - place)?..usize::try_from(to - place)?]);
        }
        place = end;
    }
    Ok((header, chunks.into()))
}

/// Decrypts the range; milliseconds from the call to the last byte.
async fn range(client: &Client, offset: u64, header: &Bytes, chunks: &Bytes) -> Result<f64> {
    let first = pb::DecryptStreamRequest {
        key: KEY.to_owned(),
        range: Some(pb::StreamRange { offset, length: LENGTH }),
        chunk: header.clone(),
        ..Default::default()
    };
    let pieces =
        (0..chunks.len()).step_by(PIECE).map(|from| chunks.slice(from..chunks.len().min(from + PIECE)));
    let rest: Vec<_> = pieces.map(|chunk| pb::DecryptStreamRequest { chunk, ..Default::default() }).collect();
    let begun = Instant::now();
    let asked = stream::iter([first]).chain(stream::iter(rest));
    let answers = StreamsClient::new(client.clone()).decrypt_stream(asked).await?.into_inner();
    let expected = usize::try_from(LENGTH)?;
    drain(answers, |answer| answer.chunk.len(), expected).await?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}
