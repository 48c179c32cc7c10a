//! `patchbay encode` and `patchbay decode`: bytes as text, both ways.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use patchbay_chassis::cli;
use patchbay_crypto::encoding::Encoding;
use std::io::{self, Read, Write};

/// Bytes of an input at most: it is read whole.
const MAX_INPUT: u64 = 256 * 1024 * 1024;

#[derive(Args)]
pub(crate) struct CodeArgs {
    /// How bytes are written as text.
    encoding: Format,
    /// What to convert; standard input if it is not given.
    #[arg(allow_hyphen_values = true)]
    text: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Base64 with `+`, `/` and padding.
    Base64,
    /// Base64 with `-` and `_`, without padding.
    Base64url,
    /// Percent-encoding for paths: a space is `%20`.
    Url,
    /// Percent-encoding for queries: a space is `+`.
    Query,
    /// Hexadecimal.
    Hex,
}

impl Format {
    fn encoding(self) -> Encoding {
        match self {
            Self::Base64 => Encoding::Base64,
            Self::Base64url => Encoding::Base64Url,
            Self::Url => Encoding::Url,
            Self::Query => Encoding::Query,
            Self::Hex => Encoding::Hex,
        }
    }

    /// Whether white space means nothing in it; many programs break its lines.
    fn ignores_white_space(self) -> bool {
        matches!(self, Self::Base64 | Self::Base64url | Self::Hex)
    }
}

/// Prints bytes as a line of text. Standard input is taken as it is, with the line break at its end if it has one.
pub(crate) fn encode(args: CodeArgs) -> anyhow::Result<()> {
    let bytes = args.text.map_or_else(read, |text| Ok(text.into_bytes()))?;
    Ok(cli::print(&args.encoding.encoding().encode(&bytes))?)
}

/// Writes the bytes of a text, and nothing more. Of standard input, the line break at its end is no part.
pub(crate) fn decode(args: CodeArgs) -> anyhow::Result<()> {
    let text = match args.text {
        Some(text) => text,
        None => String::from_utf8(read()?).context("standard input is no text")?,
    };
    let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    let bytes = convert(args.encoding, text)?;
    match io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}

fn convert(format: Format, text: &str) -> anyhow::Result<Vec<u8>> {
    if !format.ignores_white_space() || !text.contains(char::is_whitespace) {
        return Ok(format.encoding().decode(text)?);
    }
    let joined: String = text.split_whitespace().collect();
    format.encoding().decode(&joined).context("cannot be decoded (white space is not counted)")
}

fn read() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let input = io::stdin().lock().take(MAX_INPUT + 1);
    let length = { input }.read_to_end(&mut bytes).context("could not read standard input")?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_INPUT) {
        bail!("standard input has more than {MAX_INPUT} bytes");
    }
    Ok(bytes)
}
