//! Gives out material of keys that allow it, and public halves of all.

use super::{
    Header, KeyName, KeyType, Keyring, Material, load::Numbered, material::Made, rows::place,
    versions::check_enabled,
};
use crate::{audit::Entry, error::Error};
use patchbay_crypto::{Secret, pem};
use std::sync::Arc;

/// Characters of a password at least that encrypts material which leaves the service.
pub(super) const PASSWORD_MIN: usize = 12;

/// How material is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Raw for symmetric keys, PKCS#8 PEM for private ones.
    Usual,
    /// Bytes: symmetric keys, and Ed25519 seeds.
    Raw,
    /// PKCS#8 PEM.
    Pkcs8Pem,
    /// PKCS#8 DER.
    Pkcs8Der,
    /// Public half as SPKI PEM.
    PublicPem,
    /// Public half as SPKI DER.
    PublicDer,
}

impl Format {
    /// Whether it shows only what anybody may know.
    pub fn is_public(self) -> bool {
        matches!(self, Self::PublicPem | Self::PublicDer)
    }
}

/// Material of one version, as asked for.
#[derive(Debug)]
pub struct Exported {
    /// Number of the version.
    pub number: u32,
    /// In the format.
    pub material: Secret,
}

impl Keyring {
    /// Public halves of one version, or of all where `version` is 0. Nothing of it is recorded.
    pub async fn export_public(
        &self,
        name: &KeyName,
        version: u32,
        format: Format,
    ) -> Result<(KeyType, Vec<Exported>), Error> {
        let (header, rows) = self.exported_rows(name, version).await?;
        let write = |(number, row): Numbered| {
            let operation = "be exported as a public half; it has none";
            let spki = row.public()?.ok_or(Error::KeyType { key_type: header.key_type.word(), operation })?;
            let bytes =
                if format == Format::PublicPem { pem::write_spki_pem(&spki).into_bytes() } else { spki };
            Ok(Exported { number, material: Secret::new(bytes) })
        };
        let exported = rows.into_iter().map(write).collect::<Result<_, Error>>()?;
        Ok((header.key_type, exported))
    }

    /// Material of one version, or of all where `version` is 0. It is recorded before it is given out.
    pub async fn export(
        &self,
        name: &KeyName,
        version: u32,
        format: Format,
        password: Secret,
        entry: Entry,
    ) -> Result<(KeyType, Vec<Exported>), Error> {
        let (header, rows) = self.exported_rows(name, version).await?;
        if !header.exportable {
            return Err(Error::NotExportable);
        }
        let key_type = header.key_type;
        let format = checked(key_type, format, &password)?;
        self.0.root.reload(&self.0.store).await?;
        let (root, key) = (Arc::clone(&self.0.root), name.clone());
        let write = move || {
            let write = |(number, row): Numbered| {
                let bytes = row.unwrap(&root, &place(&key, &header, number))?;
                Ok(Exported { number, material: written(&header, bytes, format, &password)? })
            };
            rows.into_iter().map(write).collect::<Result<Vec<_>, Error>>()
        };
        // A password is stretched for each version, and RSA is checked: both take long.
        let exported = if key_type.is_asymmetric() { self.0.pool.sign(write).await?? } else { write()? };
        let versions = if version == 0 { "all versions".to_owned() } else { format!("version {version}") };
        self.0.store.record(entry.detail(versions)).await?;
        Ok((key_type, exported))
    }

    async fn exported_rows(&self, name: &KeyName, version: u32) -> Result<(Header, Vec<Numbered>), Error> {
        let wanted = |header: &Header| {
            let mut numbers: Vec<u32> = header.available().collect();
            numbers.retain(|number| version == 0 || version == *number);
            numbers
        };
        let (row, rows) = self.snapshot(name, |row| wanted(&row.value)).await?;
        check_enabled(name, &row.value)?;
        if rows.is_empty() { Err(Error::KeyVersion(version)) } else { Ok((row.value, rows)) }
    }
}

/// Settles the usual format and refuses what a type cannot.
fn checked(key_type: KeyType, format: Format, password: &Secret) -> Result<Format, Error> {
    let format = match format {
        Format::Usual if key_type.is_asymmetric() => Format::Pkcs8Pem,
        Format::Usual => Format::Raw,
        format => format,
    };
    let is_pkcs8 = format != Format::Raw;
    let refused = |operation| Err(Error::KeyType { key_type: key_type.word(), operation });
    if is_pkcs8 && !key_type.is_asymmetric() {
        return refused("be exported as PKCS#8; only private keys can");
    }
    if !is_pkcs8 && key_type.is_asymmetric() && key_type != KeyType::Ed25519 {
        return refused("be exported raw; ask for PKCS#8");
    }
    if !is_pkcs8 && !password.expose().is_empty() {
        return Err(Error::bad("password", "is only for PKCS#8"));
    }
    if is_pkcs8 && !password.expose().is_empty() {
        check_password(password)?;
    }
    Ok(format)
}

/// Refuses a password that can be guessed at leisure by whoever has the file.
pub(super) fn check_password(password: &Secret) -> Result<(), Error> {
    let characters = std::str::from_utf8(password.expose()).unwrap_or_default().chars().count();
    if characters < PASSWORD_MIN {
        return Err(Error::WeakPassword(format!("must have at least {PASSWORD_MIN} characters")));
    }
    Ok(())
}

fn written(header: &Header, bytes: Secret, format: Format, password: &Secret) -> Result<Secret, Error> {
    let password = std::str::from_utf8(password.expose()).ok().filter(|password| !password.is_empty());
    match format {
        Format::Pkcs8Pem => pem::write_pkcs8_pem(bytes.expose(), password).map_err(Error::internal),
        Format::Pkcs8Der => pem::write_pkcs8_der(bytes.expose(), password).map_err(Error::internal),
        _ => {
            let Made { bytes, ready } = Made::stored(header.key_type, bytes)?;
            match &*ready {
                Material::Ed25519(key) => key.seed().map_err(Error::internal),
                _ => Ok(bytes),
            }
        }
    }
}
