//! PEM: Base64 between a line that begins and one that ends. What goes through here may be a private key, so no copy of it is left behind.

use crate::{Error, Secret};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Characters of a line that is written (RFC 7468, section 2).
const LINE: usize = 64;

/// Whether a file is PEM rather than DER.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// Returns the only private key of a file, and its label. What `openssl ecparam` writes before a key is passed over.
pub(super) fn private_key(bytes: &[u8]) -> Result<(&str, Secret), Error> {
    let mut key = None;
    for block in blocks(bytes)? {
        match block.label {
            "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"
                if key.is_none() =>
            {
                key = Some((block.label, block.decode()?));
            }
            "EC PARAMETERS" => {}
            label if label.ends_with("PRIVATE KEY") && key.is_some() => {
                return Err(Error::Input("this file has several private keys: give one".into()));
            }
            label => {
                return Err(Error::Input(format!(
                    "a PEM block `{}` is no private key that is read here",
                    short(label)
                )));
            }
        }
    }
    key.ok_or_else(|| Error::Input("this file has no private key".into()))
}

/// Returns the only public key of a file.
pub(super) fn public_key(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    match blocks(bytes)?.as_slice() {
        [block] if block.label == "PUBLIC KEY" => Ok(block.decode()?.expose().to_vec()),
        [block] => Err(Error::Input(format!("a PEM block `{}` is no public key (SPKI)", short(block.label)))),
        _ => Err(Error::Input("give a file with one public key".into())),
    }
}

/// Writes a block.
pub(super) fn write(label: &str, der: &[u8]) -> Secret {
    let text = Zeroizing::new(STANDARD.encode(der));
    // Sized at once, so that it never moves and leaves a copy.
    let mut out = Vec::with_capacity(text.len() + text.len() / LINE + 2 * (label.len() + 20));
    out.extend_from_slice(format!("{BEGIN}{label}{DASHES}\n").as_bytes());
    for line in text.as_bytes().chunks(LINE) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("{END}{label}{DASHES}\n").as_bytes());
    Secret::new(out)
}

/// A block, not yet decoded.
struct Block<'a> {
    label: &'a str,
    lines: Vec<&'a str>,
}

impl Block<'_> {
    fn decode(&self) -> Result<Secret, Error> {
        if self.lines.iter().any(|line| line.contains(':')) {
            return Err(Error::Input(
                "this PEM is encrypted in the old way of OpenSSL: convert it with `openssl pkcs8 -topk8`"
                    .into(),
            ));
        }
        let size = self.lines.iter().map(|line| line.len()).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        for line in &self.lines {
            text.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
        // Sized at once, like above.
        let mut der = Zeroizing::new(vec![0; text.len()]);
        let length = STANDARD
            .decode_slice(text.as_slice(), &mut der)
            .map_err(|_| Error::Input("this PEM is no valid Base64".into()))?;
        Ok(Secret::new(der.get(..length).unwrap_or_default().to_vec()))
    }
}

/// Finds the blocks. Text around them is passed over, as RFC 7468 asks.
fn blocks(bytes: &[u8]) -> Result<Vec<Block<'_>>, Error> {
    let text = str::from_utf8(bytes).map_err(|_| Error::Input("this PEM is no text".into()))?;
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in text.lines().map(str::trim) {
        open = match (open, label(line, BEGIN), label(line, END)) {
            (None, Some(label), _) => Some(Block { label, lines: Vec::new() }),
            (None, None, _) => None,
            (Some(block), None, Some(label)) if label == block.label => {
                blocks.push(block);
                None
            }
            (Some(mut block), None, None) => {
                block.lines.push(line);
                Some(block)
            }
            (Some(_), _, _) => return Err(unbalanced()),
        };
    }
    if open.is_some() {
        return Err(unbalanced());
    }
    Ok(blocks)
}

fn label<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix(DASHES)
}

fn unbalanced() -> Error {
    Error::Input("a PEM block in this file has no end of its own".into())
}

/// A label from a file, at a length that suits an error.
fn short(label: &str) -> String {
    label.chars().filter(|letter| !letter.is_control()).take(40).collect()
}
