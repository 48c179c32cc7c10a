//! Passwords of cameras.

use super::{Secrets, is_another_believed};
use crate::cameras::{CameraName, CameraSpec, ClearPassword, LoginSpec, Violation};
use patchbay_media::hub::{Reason, SourceError};
use std::{fs, io::Read, path::Path};
use zeroize::Zeroizing;

/// Bytes of a file with a password that are read at most.
const MAX_FILE: usize = 4096;

impl Secrets {
    /// Brings a camera's login into the form in which it is kept. `before` is the camera as it is.
    pub(in crate::cameras) fn seal_login(
        &self,
        name: &CameraName,
        spec: &mut CameraSpec,
        before: Option<&CameraSpec>,
    ) -> Result<(), Violation> {
        let field = spec.source.login_field();
        let problem = |words: &str| Violation { field, problem: words.to_owned() };
        let before = before.map(|before| &before.source);
        let is_another = before.is_some_and(|before| is_another_believed(before, &spec.source));
        let Some((address, Some(login))) = spec.source.remote_mut() else { return Ok(()) };
        if let Some(given) = login.given.take() {
            let sealed = self.seal(name.as_str(), given.expose());
            let sealed = sealed.map_err(|error| problem(&format!("could not be encrypted: {error}")))?;
            login.sealed = Some(sealed);
        } else if std::mem::take(&mut login.keep) && login.password_file.is_none() {
            let kept = before.and_then(|before| Some((before.address()?, before.login()?)));
            let Some((place, kept)) = kept.filter(|(_, kept)| kept.has_password()) else {
                return Err(problem("has no password that is kept: give one"));
            };
            if !address.is_same_place(place) {
                return Err(problem("needs the password again, because it shall go to another place"));
            }
            if is_another {
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
    pub(in crate::cameras) fn login(
        &self,
        camera: &CameraName,
        login: &LoginSpec,
    ) -> Result<(String, ClearPassword), SourceError> {
        let password = if let Some(given) = &login.given {
            given.clone()
        } else if let Some(sealed) = &login.sealed {
            self.password(camera, sealed)?
        } else if let Some(path) = &login.password_file {
            read_password(path)?
        } else {
            ClearPassword::new(String::new())
        };
        Ok((login.username.clone(), password))
    }

    fn password(&self, camera: &CameraName, sealed: &str) -> Result<ClearPassword, SourceError> {
        let password = self.open_sealed(camera.as_str(), sealed).ok_or_else(|| {
            let words = "the password of the camera cannot be read with this service's key: give it again";
            SourceError::permanent(words).because(Reason::Unauthorized)
        })?;
        Ok(ClearPassword::new(password))
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

#[cfg(test)]
#[path = "logins_tests.rs"]
mod tests;
