//! Files of certificates and keys: read with a limit, replaced whole, and written by one process at a time.

use crate::{
    error::TlsError,
    pem::{self, Served},
};
use aws_lc_rs::digest::{Context, Digest, SHA256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Bytes of a file; a chain of a dozen certificates has a fiftieth of it.
const MAX_FILE: u64 = 1 << 20;

/// Bytes for which there is room from the beginning; a key of RSA has a quarter of it.
const USUAL_FILE: usize = 16 << 10;

/// Name of the file that is locked while a folder is written to.
const LOCK: &str = "lock";

/// How long somebody else may be writing to a folder. It takes milliseconds, unless that process is stopped.
const WRITING: Duration = Duration::from_secs(10);

/// Pause between looks whether they have done.
const LOOK: Duration = Duration::from_millis(10);

/// A certificate and a key that somebody else writes.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What two files had in them.
pub(crate) struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// Tells two contents apart without keeping the key.
pub(crate) struct Seen(Digest);

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Pair {
    /// Reads both. Contents are compared, not times or inodes: links may be turned to another folder, and a copy may keep its time.
    pub(crate) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)?.into() })
    }

    /// What to serve. A certificate that was read before its key was replaced does not fit the new one, and is refused.
    pub(crate) fn served(&self, contents: &Contents) -> Result<Served, TlsError> {
        pem::served((&self.certificate, &contents.certificate), (&self.key, &contents.key))
    }
}

impl Contents {
    pub(crate) fn seen(&self) -> Seen {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.certificate.len().to_be_bytes());
        digest.update(&self.certificate);
        digest.update(&self.key);
        Seen(digest.finish())
    }
}

/// The right to write to a folder, over all processes; given back when dropped, or when the process dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder where there is none, and waits while somebody else is writing: for the time of making two keys.
    pub(crate) fn take(folder: &Path) -> Result<Self, TlsError> {
        Self::take_within(folder, WRITING)
    }

    pub(crate) fn take_within(folder: &Path, patience: Duration) -> Result<Self, TlsError> {
        let path = folder.join(LOCK);
        let failed = |source| TlsError::Write { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(TlsError::Busy { path }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

pub(crate) fn read_text(path: &Path) -> Result<String, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    String::from_utf8(read(path)?).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    // It has room for most files at once, so that a key is not left behind where it grew out of.
    let mut bytes = Vec::with_capacity(USUAL_FILE);
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let whole = read.and_then(|length| match u64::try_from(length) {
        Ok(length) if length <= MAX_FILE => Ok(bytes),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB")),
    });
    whole.map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// Puts a text in a file's place, so that readers see the old one or the new one. Its writer has the folder's lock.
pub(crate) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let written = remove(&beside)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside))
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| TlsError::Write { path: path.to_owned(), source })
}

/// Takes a file away where there is one, such as what a process that died has left.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
