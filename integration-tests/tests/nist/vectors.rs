//! The files: where they are, and how they are read.

use anyhow::{Context, Result, ensure};
use integration_tests::report::report;
use patchbay_testkit::binaries::workspace;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Prints where the vectors are.
const WHERE: &str = "import cryptography_vectors as v, os; print(os.path.dirname(v.__file__))";

/// Fields that hold for all blocks after them, even where they share one with the first case: the key of RSA.
const LASTING: [&str; 2] = ["n", "e"];

/// The folder of the vectors.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Asks Python for it; says it where it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let ours = workspace().join("target/tools/venv/bin/python");
        let found = [ours, PathBuf::from("python3")].iter().find_map(|python| folder_of(python));
        if found.is_none() {
            report("NIST's vectors skipped: Python's cryptography_vectors is not installed");
        }
        found.map(Self)
    }

    /// Reads a file of the package.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.0.join(name)).with_context(|| format!("cannot read {name}"))
    }
}

fn folder_of(python: &Path) -> Option<PathBuf> {
    let output = Command::new(python).args(["-c", WHERE]).output().ok().filter(|run| run.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Names and values.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// A block of lines, which is a case, and what holds for it.
pub(crate) struct Record<'a> {
    lasting: Fields<'a>,
    own: Fields<'a>,
}

impl<'a> Record<'a> {
    /// Value of a field.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str> {
        self.find(name).with_context(|| format!("no {name} in {:?}", self.own))
    }

    /// Value of a field that may be absent.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        value(&self.own, name).or_else(|| value(&self.lasting, name))
    }

    /// Value of a field in hexadecimal.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        hex::decode(self.text(name)?).with_context(|| format!("{name} is no hexadecimal in {:?}", self.own))
    }

    /// Value of a field that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<usize> {
        Ok(self.text(name)?.parse()?)
    }

    /// Value of a field that is a number in hexadecimal, without zeros before it.
    pub(crate) fn big_endian(&self, name: &str) -> Result<Vec<u8>> {
        let digits = self.text(name)?.trim_start_matches('0');
        let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
        hex::decode(even).with_context(|| format!("{name} is no hexadecimal in {:?}", self.own))
    }

    /// The message. Its length in bits decides, since an empty one is written as a byte of zeros.
    pub(crate) fn message(&self) -> Result<Vec<u8>> {
        let (mut message, bits) = (self.bytes("Msg")?, self.number("Len")?);
        ensure!(bits.is_multiple_of(8) && bits / 8 <= message.len(), "{bits} bits in {:?}", self.own);
        message.truncate(bits / 8);
        Ok(message)
    }
}

fn value<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a str> {
    fields.iter().rfind(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Reads the blocks of a file. A block ends at an empty line, or where a field comes again. One without the field `last` is no case: it
/// holds for all that come after it, as what is in brackets does.
pub(crate) fn records<'a>(file: &'a str, last: &str) -> Vec<Record<'a>> {
    let mut reader = Reader { last, lasting: Fields::new(), own: Fields::new(), records: Vec::new() };
    for line in file.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        reader.take(line);
    }
    reader.end_block();
    reader.records
}

struct Reader<'a, 'l> {
    last: &'l str,
    lasting: Fields<'a>,
    own: Fields<'a>,
    records: Vec<Record<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, line: &'a str) {
        if line.is_empty() {
            return self.end_block();
        }
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            return set(&mut self.lasting, heading.split_once(" = ").unwrap_or(("section", heading)));
        }
        let (name, field) = line.split_once('=').unwrap_or((line, ""));
        let (name, field) = (name.trim(), field.trim());
        if value(&self.own, name).is_some() {
            self.end_block();
        }
        self.own.push((name, field));
    }

    fn end_block(&mut self) {
        let own = std::mem::take(&mut self.own);
        let is_case = value(&own, self.last).is_some();
        for field in own.iter().filter(|(name, _)| !is_case || LASTING.contains(name)) {
            set(&mut self.lasting, *field);
        }
        if is_case {
            self.records.push(Record { lasting: self.lasting.clone(), own });
        }
    }
}

fn set<'a>(fields: &mut Fields<'a>, (name, value): (&'a str, &'a str)) {
    fields.retain(|(known, _)| *known != name);
    fields.push((name, value));
}
