//! `patchbay encrypt` and `patchbay decrypt`: files of any size, by a key of a running crypto-service. The result stands under its name only when it is whole.

use crate::{
    hash,
    remote::{Remote, refused},
};
use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;
use patchbay_chassis::cli;
use patchbay_proto::crypto::v1::{
    DecryptStreamRequest, EncryptStreamRequest, StreamRange, streams_client::StreamsClient,
};
use std::{
    fs::{self, File, OpenOptions},
    future::pending,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, interval_at},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::Streaming;

/// Ending of an encrypted file's name.
const ENDING: &str = "pbs";

/// Standard input and output.
const DASH: &str = "-";

/// Bytes that are read and sent at once.
const PIECE: usize = 256 * 1024;

/// Pieces between the file and the network; the reader waits when there is no more room.
const AHEAD: usize = 4;

/// Room for the one thing that can go wrong while a file is read.
const ONE: usize = 1;

/// How often an empty piece is sent while nothing comes: the service waits for the next one for 30 s, or as it is configured, and what fills a pipe may pause for longer.
const PULSE: Duration = Duration::from_secs(1);

/// The form of an encrypted file, see `streams.proto`: bytes before the chunks, and of a chunk before and after encryption.
const HEADER: u64 = 61;
const CHUNK: u64 = 16 * 1024;
const TAG: u64 = 16;
const SEALED_CHUNK: u64 = CHUNK + TAG;

#[derive(Args)]
pub(crate) struct EncryptArgs {
    /// File; `-` is standard input.
    file: PathBuf,
    /// Key of type aes256-gcm-chunked or aes128-gcm-chunked.
    #[arg(long, value_name = "KEY")]
    with: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct DecryptArgs {
    /// File; `-` is standard input.
    file: PathBuf,
    /// Key that has encrypted it.
    #[arg(long, value_name = "KEY")]
    with: String,
    /// First byte of the plaintext that is wanted; what stands before it is not read.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// How many bytes are wanted.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    length: Option<u64>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct Target {
    /// Where the result goes; `-` is standard output. Without it, the file's name with or without `.pbs`, and for standard input
    /// standard output.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the file is bound to: who decrypts must say the same.
    #[arg(long, value_name = "TEXT", default_value = "")]
    associated_data: String,
    /// Replaces a file that is there.
    #[arg(long)]
    force: bool,
}

/// Encrypts a file.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn encrypt(args: EncryptArgs) -> anyhow::Result<()> {
    let out = args.target.path(|| Some(named(&args.file, &format!("{}.{ENDING}", args.file.display()))))?;
    let source = Source::open(&args.file)?;
    let mut client = StreamsClient::new(args.remote.connect().await?);
    let first = EncryptStreamRequest {
        key: args.with,
        associated_data: args.target.associated_data.into_bytes().into(),
        ..Default::default()
    };
    let (pieces, reading) = source.pieces();
    let pieces = steadily(pieces).map(|chunk| EncryptStreamRequest { chunk, ..Default::default() });
    let answers = client.encrypt_stream(tokio_stream::iter([first]).chain(pieces)).await;
    let answers = answers.map_err(|status| refused(&status))?.into_inner();
    reading.write(answers, |answer| answer.chunk, &out).await
}

/// Decrypts a file, or a part of one.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn decrypt(args: DecryptArgs) -> anyhow::Result<()> {
    let out = args.target.path(|| {
        let is_ours = args.file.extension().is_some_and(|ending| ending == ENDING);
        let plain = if is_ours { args.file.with_extension("") } else { DASH.into() };
        (is_ours || args.file == Path::new(DASH)).then_some(plain)
    })?;
    let mut source = Source::open(&args.file)?;
    let range = args.range();
    let mut start = Bytes::from(source.skip_to(range.as_ref())?);
    let (mut pieces, mut reading) = source.pieces();
    if range.is_none() {
        // The service answers when it has the header, which a pipe may be long in giving.
        start = reading.first(&mut pieces).await?;
    }
    let mut client = StreamsClient::new(args.remote.connect().await?);
    let first = DecryptStreamRequest {
        key: args.with,
        associated_data: args.target.associated_data.into_bytes().into(),
        range,
        chunk: start,
    };
    let pieces = steadily(pieces).map(|chunk| DecryptStreamRequest { chunk, ..Default::default() });
    let answers = client.decrypt_stream(tokio_stream::iter([first]).chain(pieces)).await;
    let answers = answers.map_err(|status| refused(&status))?.into_inner();
    reading.write(answers, |answer| answer.chunk, &out).await
}

impl DecryptArgs {
    fn range(&self) -> Option<StreamRange> {
        let is_part = self.offset > 0 || self.length.is_some();
        is_part.then(|| StreamRange { offset: self.offset, length: self.length.unwrap_or_default() })
    }
}

fn named(file: &Path, other: &str) -> PathBuf {
    if file == Path::new(DASH) { DASH.into() } else { other.into() }
}

impl Target {
    /// Where the result goes.
    fn path(&self, usual: impl FnOnce() -> Option<PathBuf>) -> anyhow::Result<PathBuf> {
        let path = self.out.clone().or_else(usual);
        let path =
            path.context("say with --out where the result goes: the file's name does not end with .pbs")?;
        if !self.force && path != Path::new(DASH) && path.exists() {
            bail!("{} is there already; --force replaces it", path.display());
        }
        Ok(path)
    }
}

/// What is read.
struct Source {
    input: Input,
    /// Bytes that a file has when it is opened; pipes and devices have none.
    length: u64,
    bar: ProgressBar,
}

enum Input {
    File(File),
    Standard,
}

impl Source {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new(DASH) {
            return Ok(Self { input: Input::Standard, length: 0, bar: hash::spinner() });
        }
        let unread = || format!("could not read {}", path.display());
        let file = File::open(path).with_context(unread)?;
        let length = file.metadata().with_context(unread)?.len();
        Ok(Self { input: Input::File(file), length, bar: hash::bar(length, path) })
    }

    /// Reads the header, and goes to the chunk in which a range begins.
    fn skip_to(&mut self, range: Option<&StreamRange>) -> anyhow::Result<Vec<u8>> {
        let Some(range) = range else { return Ok(Vec::new()) };
        let Input::File(file) = &mut self.input else {
            bail!("a part can be decrypted of a file only, not of standard input");
        };
        let mut header = Vec::new();
        Read::by_ref(file).take(HEADER).read_to_end(&mut header).context("could not read the header")?;
        let plain = plaintext_length(self.length);
        if range.offset > plain {
            bail!(
                "the part begins at byte {}, and the file has {plain} bytes when it is decrypted",
                range.offset
            );
        }
        let chunk = range.offset / CHUNK;
        let place = chunk.checked_mul(SEALED_CHUNK).and_then(|bytes| bytes.checked_add(HEADER));
        let place = place.context("no file is as long as that")?;
        file.seek(SeekFrom::Start(place)).context("could not go to where the part begins")?;
        self.length = self.length.saturating_sub(place);
        self.bar = ProgressBar::hidden();
        Ok(header)
    }

    /// Reads on a thread of its own.
    fn pieces(self) -> (ReceiverStream<Bytes>, Reading) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (failed, failure) = mpsc::channel(ONE);
        let Self { input, length, bar } = self;
        let reading = Reading { failure, bar: bar.clone() };
        std::thread::spawn(move || {
            let read = match input {
                Input::File(file) => read(file, length, &sender, &bar),
                Input::Standard => read(io::stdin().lock(), length, &sender, &bar),
            };
            if let Err(error) = read {
                // With the sender the stream would end, and what was sent would be taken for the whole.
                drop(failed.blocking_send((error, sender)));
            }
        });
        (ReceiverStream::new(receiver), reading)
    }
}

/// Bytes of the plaintext of a file. One that was cut in a chunk is found out when it is decrypted.
fn plaintext_length(file: u64) -> u64 {
    let sealed = file.saturating_sub(HEADER);
    sealed.saturating_sub((sealed / SEALED_CHUNK + 1) * TAG)
}

/// Reads to the end. A file that ends before its `length` was shortened by somebody, and what is left of it is not the whole.
fn read(
    mut input: impl Read,
    length: u64,
    pieces: &mpsc::Sender<Bytes>,
    bar: &ProgressBar,
) -> io::Result<()> {
    let mut total = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let count = Read::by_ref(&mut input).take(PIECE as u64).read_to_end(&mut piece)? as u64;
        total += count;
        bar.inc(count);
        if count == 0 && total < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        if count == 0 || pieces.blocking_send(piece.into()).is_err() {
            return Ok(());
        }
    }
}

/// The pieces, and empty ones while there are none.
fn steadily(pieces: ReceiverStream<Bytes>) -> impl Stream<Item = Bytes> + Send + 'static {
    let pulse = interval_at(Instant::now() + PULSE, PULSE);
    pieces.timeout_repeating(pulse).map(Result::unwrap_or_default)
}

/// A file that is being read.
struct Reading {
    failure: mpsc::Receiver<(io::Error, mpsc::Sender<Bytes>)>,
    bar: ProgressBar,
}

impl Reading {
    /// The first piece; none is empty.
    async fn first(&mut self, pieces: &mut ReceiverStream<Bytes>) -> anyhow::Result<Bytes> {
        // Cancel-safe: a file that cannot be read ends everything.
        tokio::select! {
            piece = pieces.next() => Ok(piece.unwrap_or_default()),
            error = self.failed() => Err(error),
        }
    }

    /// Waits until the file cannot be read, for ever where it can. Cancel-safe.
    async fn failed(&mut self) -> anyhow::Error {
        match self.failure.recv().await {
            Some((error, _)) => anyhow::Error::new(error).context("could not read the file"),
            None => pending().await,
        }
    }

    /// Writes what comes, and says how much and where.
    async fn write<T>(
        mut self,
        mut answers: Streaming<T>,
        chunk: impl Fn(T) -> Bytes,
        out: &Path,
    ) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::of(out)?;
        let mut output = Output::create(out)?;
        let mut bytes = 0;
        let received = loop {
            // Cancel-safe: the others end everything, and `message` loses nothing before.
            let answer = tokio::select! {
                answer = answers.message() => answer,
                error = self.failed() => break Err(error),
                () = interrupts.next() => break Err(anyhow::anyhow!("interrupted: nothing is kept")),
            };
            match answer {
                Ok(Some(answer)) => {
                    let chunk = chunk(answer);
                    bytes += chunk.len();
                    output.write(&chunk).with_context(|| format!("could not write {}", out.display()))?;
                }
                Ok(None) => break Ok(()),
                Err(status) => break Err(refused(&status)),
            }
        };
        self.bar.finish_and_clear();
        received?;
        if output.keep().with_context(|| format!("could not write {}", out.display()))? {
            cli::print(&format!("{}: {bytes} bytes", out.display()))?;
        }
        Ok(())
    }
}

/// Signals that would leave a part of the result lying about. To standard output nothing is left, and they end the process as they always do, also while it waits for
/// somebody to read.
struct Interrupts(Option<[Signal; 2]>);

impl Interrupts {
    fn of(out: &Path) -> io::Result<Self> {
        if out == Path::new(DASH) {
            return Ok(Self(None));
        }
        Ok(Self(Some([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])))
    }

    /// Waits for one, for ever where they are not caught. Cancel-safe.
    async fn next(&mut self) {
        let Some([interrupt, terminate]) = &mut self.0 else { return pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// What is written: a file beside its place until it is whole, or standard output.
enum Output {
    File { file: File, temporary: PathBuf, path: PathBuf },
    Standard(io::Stdout),
}

impl Output {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new(DASH) {
            return Ok(Self::Standard(io::stdout()));
        }
        let mut name = path.file_name().context("the result needs a name")?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        // Nobody else may read it, as long as nobody has said otherwise.
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = opened.with_context(|| format!("could not write {}", temporary.display()))?;
        Ok(Self::File { file, temporary, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.write_all(bytes),
            Self::Standard(stdout) => stdout.write_all(bytes),
        }
    }

    /// Puts the whole in its place; false for standard output, which has none.
    fn keep(mut self) -> io::Result<bool> {
        match &mut self {
            Self::File { file, temporary, path } => {
                file.sync_all()?;
                fs::rename(temporary, path)?;
                Ok(true)
            }
            Self::Standard(stdout) => stdout.flush().map(|()| false),
        }
    }
}

impl Drop for Output {
    /// What is not whole is not left lying about; what was kept is not there any more.
    fn drop(&mut self) {
        if let Self::File { temporary, .. } = self {
            drop(fs::remove_file(temporary));
        }
    }
}
