//! Paths in the media folder: nothing outside of it can be named.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a path cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// No folder is configured.
    #[error("cannot be played: no media folder is configured (cameras.media_folder)")]
    NoFolder,
    /// There is nothing.
    #[error("names nothing in the media folder")]
    NotFound,
    /// A link leads out.
    #[error("leads out of the media folder")]
    Outside,
    /// It is a folder or a device.
    #[error("is not a file")]
    NotAFile,
    /// The system refuses to look.
    #[error("cannot be looked at: {0}")]
    Unreadable(io::ErrorKind),
}

/// The real place of a file below `folder`, which must itself be real (canonical). Links are followed, and must not lead out.
pub fn confined(folder: &Path, path: &str) -> Result<PathBuf, PathError> {
    let real = folder.join(path).canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => PathError::NotFound,
        kind => PathError::Unreadable(kind),
    })?;
    if !real.starts_with(folder) {
        return Err(PathError::Outside);
    }
    let metadata = real.metadata().map_err(|error| PathError::Unreadable(error.kind()))?;
    if metadata.is_file() { Ok(real) } else { Err(PathError::NotAFile) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn only_files_below_the_folder_are_found() {
        let outer = tempfile::tempdir().unwrap();
        let outside = outer.path().join("secret.mp4");
        fs::write(&outside, "x").unwrap();
        let folder = outer.path().join("media");
        fs::create_dir_all(folder.join("sub")).unwrap();
        let folder = folder.canonicalize().unwrap();
        fs::write(folder.join("sub/a.mp4"), "x").unwrap();
        symlink(folder.join("sub/a.mp4"), folder.join("inside.mp4")).unwrap();
        symlink(&outside, folder.join("outside.mp4")).unwrap();
        symlink(outer.path(), folder.join("up")).unwrap();

        let found = |path: &str| confined(&folder, path);
        assert_eq!(found("sub/a.mp4").unwrap(), folder.join("sub/a.mp4"));
        assert_eq!(found("inside.mp4").unwrap(), folder.join("sub/a.mp4"));
        for path in ["outside.mp4", "up/secret.mp4", "../secret.mp4", "/etc/passwd"] {
            assert!(matches!(found(path), Err(PathError::Outside)), "{path}: {:?}", found(path));
        }
        for path in ["none.mp4", "sub/a.mp4/b", "up/none.mp4"] {
            assert!(matches!(found(path), Err(PathError::NotFound)), "{path}: {:?}", found(path));
        }
        assert!(matches!(found("sub"), Err(PathError::NotAFile)));
    }
}
