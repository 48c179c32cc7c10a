//! Addresses of cameras that hold something secret, such as a password among their parameters.

use super::{Secrets, is_another_believed};
use crate::cameras::{Address, CameraName, CameraSpec, SourceSpec, spec::Whole};
use patchbay_crypto::Error;
use patchbay_media::hub::{Reason, SourceError};
use url::Url;
use zeroize::Zeroizing;

impl Secrets {
    /// Brings a camera's address into the form in which it is kept.
    pub(in crate::cameras) fn seal_address(
        &self,
        name: &CameraName,
        source: &mut SourceSpec,
    ) -> Result<(), Error> {
        if let Some((address, _)) = source.remote_mut()
            && let Whole::Given(given) = &address.whole
        {
            address.whole = Whole::Sealed(self.seal(&belonging(name), given)?);
        }
        Ok(())
    }

    /// The whole address, for who connects to it.
    pub(in crate::cameras) fn address(
        &self,
        camera: &CameraName,
        address: &Address,
    ) -> Result<Url, SourceError> {
        let whole = match &address.whole {
            Whole::Shown => Zeroizing::new(address.shown().to_owned()),
            Whole::Given(given) => given.clone(),
            Whole::Sealed(sealed) => self.whole(camera, address, sealed)?,
        };
        // Checked when the camera was added, but rows of other versions may be read.
        Url::parse(&whole)
            .map_err(|_| SourceError::permanent("the address of the camera is none").because(Reason::Other))
    }

    /// What is sealed must lead to where people are shown that it does.
    fn whole(
        &self,
        camera: &CameraName,
        address: &Address,
        sealed: &str,
    ) -> Result<Zeroizing<String>, SourceError> {
        let whole = self.open_sealed(&belonging(camera), sealed);
        whole.filter(|whole| Address::from(whole.as_str().to_owned()).is_same_place(address)).ok_or_else(|| {
            let words = "the secret in the camera's address cannot be read with this service's key: give the whole address again";
            SourceError::permanent(words).because(Reason::Unauthorized)
        })
    }
}

/// What a sealed address belongs to. No camera's name is like that, so none is taken for a password.
fn belonging(camera: &CameraName) -> String {
    format!("address/{camera}")
}

/// Puts the address that is kept in place of one that was shown with its secrets hidden, and means it. Before anything is checked: what is hidden is
/// no secret that a camera takes.
pub(in crate::cameras) fn uncover(spec: &mut CameraSpec, before: Option<&CameraSpec>) {
    let Some(before) = before.map(|before| &before.source) else { return };
    if is_another_believed(before, &spec.source) {
        return;
    }
    if let (Some((address, _)), Some(kept)) = (spec.source.remote_mut(), before.address())
        && address.means(kept)
    {
        *address = kept.clone();
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
