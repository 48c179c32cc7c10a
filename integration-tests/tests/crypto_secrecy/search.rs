//! Marked secrets, and how they are looked for.

use anyhow::{Result, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use integration_tests::report::report;
use std::fmt::Debug;
use tonic::{Response, Status};

/// Secrets that were used, and what callers were told when they were refused.
#[derive(Default)]
pub(crate) struct Canaries {
    pub(crate) secrets: Vec<(String, Vec<u8>)>,
    pub(crate) refusals: String,
}

impl Canaries {
    /// Makes a secret of 32 characters, none of which is like another.
    pub(crate) fn make(&mut self, what: &str) -> String {
        let text = format!("Canary-{:02}-{what}-{}", self.secrets.len(), "qzjxkvwy".repeat(4));
        let text: String = text.chars().take(32).collect();
        self.add(what, text.as_bytes());
        text
    }

    pub(crate) fn bytes(&mut self, what: &str) -> Bytes {
        self.make(what).into()
    }

    /// Keeps a secret that the service made.
    pub(crate) fn add(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= 16, "{what} is too short to be looked for");
        self.secrets.push((what.to_owned(), secret.to_vec()));
    }

    pub(crate) fn refused<T: Debug>(&mut self, answer: Result<Response<T>, Status>) {
        let status = answer.expect_err("it is wrong, and must be refused");
        self.refusals.extend([format!("{status:?}"), "\n".to_owned()]);
    }
}

/// How a secret may look: as it is, escaped, as a list of numbers, in hexadecimal, and in Base64 at each of the three places where
/// it may begin in longer data.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    let numbers: Vec<String> = secret.iter().map(ToString::to_string).collect();
    let mut forms = vec![
        secret.to_vec(),
        secret.escape_ascii().to_string().into_bytes(),
        numbers.join(", ").into_bytes(),
        numbers.join(",").into_bytes(),
        hex.to_ascii_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
        let data = [&vec![0; before], secret].concat();
        let whole = data.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&data), URL_SAFE_NO_PAD.encode(&data)] {
            forms.extend(text.get(skipped..whole).map(|text| text.as_bytes().to_vec()));
        }
    }
    forms
}

/// Bytes as text with one character each, which the standard library searches quickly.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn holds(place: &str, secret: &[u8]) -> bool {
    forms(secret).iter().any(|form| place.contains(&text(form)))
}

/// Something that was written or told, and a word that is not secret and must be in it.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
    pub(crate) known: &'static str,
}

pub(crate) fn search(places: &[Place], canaries: &Canaries) -> Result<()> {
    let mut found = Vec::new();
    for Place { name, content, known } in places {
        let content = text(content);
        ensure!(holds(&content, known.as_bytes()), "`{known}` is not found in {name}: the search is blind");
        let seen = canaries.secrets.iter().filter(|(_, secret)| holds(&content, secret));
        found.extend(seen.map(|(what, _)| format!("{what} in {name}")));
    }
    ensure!(found.is_empty(), "secrets were found: {found:#?}");
    let bytes: usize = places.iter().map(|place| place.content.len()).sum();
    report(&format!("{} secrets are nowhere in {bytes} bytes", canaries.secrets.len()));
    Ok(())
}

#[test]
fn the_search_finds_every_form() {
    let secret = b"Canary-07-of-a-password\x00\xff";
    for form in forms(secret) {
        assert!(holds(&text(&[b"some ", &form[..], b" more"].concat()), secret));
    }
    for before in 0..3 {
        let longer = [&vec![b'x'; before], &secret[..], b"and more"].concat();
        assert!(holds(&STANDARD_NO_PAD.encode(&longer), secret), "{before} bytes before");
    }
    assert!(!holds("Canary-08-of-a-password", secret));
}
