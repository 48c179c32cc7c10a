//! `patchbay hash`: digests of files, several at once in one pass, written as `sha256sum` and its like write and check them.

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use patchbay_chassis::cli;
use patchbay_crypto::digest::{Algorithm, Context};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes that are read at once.
const PIECE: usize = 1024 * 1024;

/// Standard input.
const STDIN: &str = "-";

#[derive(Args)]
pub(crate) struct HashArgs {
    /// Hash functions with commas between them: md5, sha1, sha224 to sha512, sha3-224 to sha3-512, blake2b, blake2s.
    #[arg(long, short, value_delimiter = ',', default_value = "sha256", value_name = "NAME")]
    algorithm: Vec<Algorithm>,
    /// Files; `-` is standard input.
    #[arg(value_name = "FILE", default_value = STDIN)]
    files: Vec<PathBuf>,
}

/// Hashes the files, tells of each that cannot be read, and fails if there was one.
pub(crate) fn run(args: &HashArgs) -> anyhow::Result<()> {
    warn(&args.algorithm);
    let mut unread = 0;
    for file in &args.files {
        match digests(file, &args.algorithm) {
            Ok(digests) => print(file, &digests)?,
            Err(error) => {
                unread += 1;
                tell(&format!("error: {}: {error}", file.display()));
            }
        }
    }
    if unread > 0 {
        bail!("{unread} of {} files could not be read", args.files.len());
    }
    Ok(())
}

fn warn(algorithms: &[Algorithm]) {
    for algorithm in algorithms.iter().filter(|algorithm| algorithm.is_unsafe()) {
        tell(&format!("warning: {} is broken: it tells of accidents, not of attackers", label(*algorithm)));
    }
}

/// Where standard error is closed there is nobody left to tell.
fn tell(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

fn digests(file: &Path, algorithms: &[Algorithm]) -> io::Result<Vec<(Algorithm, String)>> {
    let (input, bar) = open(file)?;
    let mut contexts: Vec<Context> = algorithms.iter().copied().map(Context::new).collect();
    let hashed = hash(input, &mut contexts, &bar);
    bar.finish_and_clear();
    hashed?;
    Ok(contexts.into_iter().map(|context| (context.algorithm(), hex::encode(context.finish()))).collect())
}

fn hash(mut input: impl Read, contexts: &mut [Context], bar: &ProgressBar) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for context in &mut *contexts {
            context.update(piece);
        }
        bar.inc(u64::try_from(piece.len()).unwrap_or(0));
    }
}

/// The bar shows itself on a terminal only; its length is what the file has now.
fn open(file: &Path) -> io::Result<(Box<dyn Read>, ProgressBar)> {
    if file == Path::new(STDIN) {
        return Ok((Box::new(io::stdin().lock()), spinner()));
    }
    let opened = File::open(file)?;
    let bar = bar(opened.metadata()?.len(), file);
    Ok((Box::new(opened), bar))
}

/// Progress through a file.
pub(crate) fn bar(length: u64, file: &Path) -> ProgressBar {
    let bar = ProgressBar::new(length).with_style(style("{wide_bar} {percent}% {eta}"));
    bar.with_message(file.display().to_string())
}

/// Progress through what has no end that is known.
pub(crate) fn spinner() -> ProgressBar {
    ProgressBar::no_length().with_style(style("{spinner}"))
}

fn style(progress: &str) -> ProgressStyle {
    let template = format!("{{msg}} {progress} {{bytes}} {{bytes_per_sec}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// One digest as `sha256sum` writes it, several as `sha256sum --tag` does.
fn print(file: &Path, digests: &[(Algorithm, String)]) -> anyhow::Result<()> {
    let (mark, name) = escaped(&file.to_string_lossy());
    let line = |(algorithm, digest): &(Algorithm, String)| match digests.len() {
        1 => format!("{mark}{digest}  {name}"),
        _ => format!("{mark}{} ({name}) = {digest}", label(*algorithm)),
    };
    let lines: Vec<String> = digests.iter().map(line).collect();
    cli::print(&lines.join("\n")).context("could not write the digests")
}

/// A name that would break the line is escaped, and the line is marked with a backslash, as `sha256sum` does.
fn escaped(name: &str) -> (&'static str, String) {
    if !name.contains(['\\', '\n', '\r']) {
        return ("", name.to_owned());
    }
    ("\\", name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"))
}

/// What the programs that check such lines call it.
fn label(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha224 => "SHA224",
        Algorithm::Sha256 => "SHA256",
        Algorithm::Sha384 => "SHA384",
        Algorithm::Sha512 => "SHA512",
        Algorithm::Sha3_224 => "SHA3-224",
        Algorithm::Sha3_256 => "SHA3-256",
        Algorithm::Sha3_384 => "SHA3-384",
        Algorithm::Sha3_512 => "SHA3-512",
        Algorithm::Blake2b512 => "BLAKE2b",
        Algorithm::Blake2s256 => "BLAKE2s",
    }
}
