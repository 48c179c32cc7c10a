//! Passwords of cameras: given in a call, kept encrypted, opened when the source is.
//!
//! They are sealed for the name of the camera, always with the same outcome (AES-256-GCM-SIV), so that adding the same camera again is seen to change
//! nothing. The kept password goes only to the place for which it was given: whoever changes the address must know it.

use super::{CameraName, CameraSpec, ClearPassword, LoginSpec, Violation};
use crate::config;
use base64::{Engine, prelude::BASE64_STANDARD};
use patchbay_chassis::{Context, StartError};
use patchbay_crypto::{
    Secret,
    convergent::{self, KEY_LENGTH},
};
use patchbay_media::hub::{Reason, SourceError};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};
use zeroize::Zeroizing;

/// Bytes of a file with a password that are read at most.
const MAX_FILE: usize = 4096;

/// Seals and opens passwords. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Logins {
    key: Arc<convergent::Key>,
}

impl Logins {
    /// With the key of the file that is configured, or else with one made of the service's.
    pub(crate) fn open(section: &config::Cameras, context: &Context) -> Result<Self, StartError> {
        let material = match &section.login_key_file {
            None => Secret::new(context.secret("camera-logins").to_vec()),
            Some(path) => {
                key_file(path).map_err(|error| StartError::failed("use cameras.login_key_file", error))?
            }
        };
        let key = convergent::Key::new(material.expose());
        let key = key.map_err(|error| StartError::failed("use the key for the logins of cameras", error))?;
        Ok(Self { key: Arc::new(key) })
    }

    /// Brings a camera's login into the form in which it is kept. `before` is the camera as it is.
    pub(crate) fn seal(
        &self,
        name: &CameraName,
        spec: &mut CameraSpec,
        before: Option<&CameraSpec>,
    ) -> Result<(), Violation> {
        let before = before.map(|before| &before.source);
        let (field, pin) = (spec.source.login_field(), spec.source.fingerprint().map(str::to_owned));
        let problem = |words: &str| Violation { field, problem: words.to_owned() };
        let Some((address, Some(login))) = spec.source.remote_mut() else { return Ok(()) };
        if let Some(given) = login.given.take() {
            login.sealed = Some(self.sealed(name, &given).map_err(|error| problem(&error))?);
        } else if std::mem::take(&mut login.keep) && login.password_file.is_none() {
            let kept = before.and_then(|before| Some((before.address()?, before.login()?)));
            let Some((place, kept)) = kept.filter(|(_, kept)| kept.has_password()) else {
                return Err(problem("has no password that is kept: give one"));
            };
            if !address.is_same_place(place) {
                return Err(problem("needs the password again, because it shall go to another place"));
            }
            let pinned = before.and_then(|before| before.fingerprint());
            if pinned.is_some() && pinned != pin.as_deref() {
                return Err(problem(
                    "needs the password again, because another certificate shall be believed",
                ));
            }
            // Cameras of the configuration have theirs in a file.
            login.sealed.clone_from(&kept.sealed);
            login.password_file.clone_from(&kept.password_file);
        }
        Ok(())
    }

    /// The name and password of a login. Reads a file where the password is in one: blocks.
    pub(crate) fn clear(
        &self,
        camera: &CameraName,
        login: &LoginSpec,
    ) -> Result<(String, ClearPassword), SourceError> {
        let password = if let Some(given) = &login.given {
            given.clone()
        } else if let Some(sealed) = &login.sealed {
            self.opened(camera, sealed)?
        } else if let Some(path) = &login.password_file {
            read_password(path)?
        } else {
            ClearPassword::new(String::new())
        };
        Ok((login.username.clone(), password))
    }

    fn sealed(&self, name: &CameraName, password: &ClearPassword) -> Result<String, String> {
        let sealed = self.key.seal(name.as_str().as_bytes(), password.expose().as_bytes());
        Ok(BASE64_STANDARD.encode(sealed.map_err(|error| format!("could not be encrypted: {error}"))?))
    }

    fn opened(&self, name: &CameraName, sealed: &str) -> Result<ClearPassword, SourceError> {
        let unreadable = || {
            let words = "the password of the camera cannot be read with this service's key: give it again";
            SourceError::permanent(words).because(Reason::Unauthorized)
        };
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| unreadable())?;
        let password = self.key.open(name.as_str().as_bytes(), &sealed).map_err(|_| unreadable())?;
        let password = std::str::from_utf8(password.expose()).map_err(|_| unreadable())?;
        Ok(ClearPassword::new(password.to_owned()))
    }
}

/// Puts the address that is kept in place of one that was shown with its secrets hidden, and means it. Before anything is checked: what is hidden is
/// no secret that a camera takes.
pub(crate) fn uncover(spec: &mut CameraSpec, before: Option<&CameraSpec>) {
    if let Some((address, _)) = spec.source.remote_mut()
        && let Some(old) = before.and_then(|before| before.source.address())
        && address.text() == old.shown()
    {
        *address = old.clone();
    }
}

fn read_password(path: &Path) -> Result<ClearPassword, SourceError> {
    let unreadable = |why: String| {
        SourceError::temporary(format!("the file with the camera's password cannot be used: {why}"))
            .because(Reason::Unauthorized)
    };
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE + 1));
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| unreadable(error.kind().to_string()))?;
    if text.len() > MAX_FILE {
        return Err(unreadable(format!("it has more than {MAX_FILE} bytes")));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(ClearPassword::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// Reads the key, making it on first use. Of replicas that make it at the same time one does, and the others read.
fn key_file(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) => return key_of(&Zeroizing::new(text)),
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
            key_of(&Zeroizing::new(fs::read_to_string(path)?))
        }
        Err(error) => Err(error),
    }
}

fn key_of(text: &str) -> io::Result<Secret> {
    let key = hex::decode(text.trim()).ok().filter(|key| key.len() == KEY_LENGTH).map(Secret::new);
    key.ok_or_else(|| io::Error::other(format!("it must hold {} hexadecimal digits", KEY_LENGTH * 2)))
}

#[cfg(test)]
#[path = "logins_tests.rs"]
mod tests;
