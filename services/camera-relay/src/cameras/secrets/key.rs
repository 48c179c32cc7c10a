//! The file with the key.

use patchbay_crypto::{Secret, convergent::KEY_LENGTH};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use zeroize::Zeroizing;

/// Reads the key, making it on first use. Of replicas that make it at the same time one does, and the others read.
pub(super) fn of_file(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) => return parsed(&Zeroizing::new(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = Secret::random(KEY_LENGTH).map_err(io::Error::other)?;
    let text = Zeroizing::new(hex::encode(key.expose()));
    // Written whole under another name, and linked: nobody sees half of it, and nobody's is replaced.
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // Not the number of the process, which is the same in every container.
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let draft = folder.join(name);
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    })();
    let removed = fs::remove_file(&draft);
    match written {
        Ok(()) => removed.map(|()| key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            parsed(&Zeroizing::new(fs::read_to_string(path)?))
        }
        Err(error) => Err(error),
    }
}

fn parsed(text: &str) -> io::Result<Secret> {
    let key = hex::decode(text.trim()).ok().filter(|key| key.len() == KEY_LENGTH).map(Secret::new);
    key.ok_or_else(|| io::Error::other(format!("it must hold {} hexadecimal digits", KEY_LENGTH * 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.key");
        let made = of_file(&path).unwrap();
        assert_eq!(of_file(&path).unwrap().expose(), made.expose());
        let permissions = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(permissions & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(of_file(&path).err().unwrap().to_string().contains("64 hexadecimal digits"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_file_is_made_whatever_another_process_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.key");
        // In containers processes have the same number.
        let left = folder.path().join(format!("logins.key.{}", std::process::id()));
        fs::write(&left, "half").unwrap();
        of_file(&path).unwrap();
        assert_eq!(fs::read_to_string(left).unwrap(), "half", "it is another's");
    }
}
