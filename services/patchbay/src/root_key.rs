//! The root key of crypto-service: 32 random bytes in a file, made once and never written over. Whoever loses it loses
//! everything that it has wrapped.

use anyhow::Context;
use aws_lc_rs::rand;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Makes the file unless it is there, readable for its owner and nobody else; `mode` says whether the owner may write.
pub(crate) fn make(path: &Path, mode: u32) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(&mut *key).ok().context("the system gave no randomness")?;
    write_new(path, &*key, mode).with_context(|| format!("could not write {}", path.display()))
}

/// Writes beside the path first, so that a key is there whole or not at all, and links it in place, which fails where
/// another process was quicker: its key is the one.
fn write_new(path: &Path, key: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let linked = file.write_all(key).and_then(|()| file.sync_all()).and_then(|()| link(&temporary, path));
    fs::remove_file(&temporary)?;
    linked
}

fn link(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::make;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn it_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        make(&path, 0o400).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!((first.len(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (32, 0o400));
        make(&path, 0o400).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first, "never written over");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let other = folder.path().join("other.key");
        make(&other, 0o600).unwrap();
        assert_ne!(fs::read(&other).unwrap(), first);
    }
}
