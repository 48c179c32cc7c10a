//! Between the messages of the interface and the keyring's words.

use crate::{
    error::Error,
    keyring::{Exported, Format, Header, KeyType, VersionInfo},
};
use patchbay_crypto::pem;
use patchbay_proto::crypto::v1::{self as pb, ExportFormat};
use std::time::Duration;

/// Reads a type.
pub(super) fn key_type(value: i32) -> Result<KeyType, Error> {
    let known = pb::KeyType::try_from(value).map_err(|_| Error::bad("type", "is not known"))?;
    Ok(known.into())
}

/// Reads a format.
pub(super) fn format(value: i32) -> Result<Format, Error> {
    match ExportFormat::try_from(value) {
        Ok(ExportFormat::Unspecified) => Ok(Format::Usual),
        Ok(ExportFormat::Raw) => Ok(Format::Raw),
        Ok(ExportFormat::Pkcs8Pem) => Ok(Format::Pkcs8Pem),
        Ok(ExportFormat::Pkcs8Der) => Ok(Format::Pkcs8Der),
        Ok(ExportFormat::PublicPem) => Ok(Format::PublicPem),
        Ok(ExportFormat::PublicDer) => Ok(Format::PublicDer),
        Err(_) => Err(Error::bad("format", "is not known")),
    }
}

/// Reads a period of rotation.
pub(super) fn period(value: Option<prost_types::Duration>) -> Result<Option<Duration>, Error> {
    let read = |value| {
        Duration::try_from(value).map_err(|_| Error::bad("auto_rotate_period", "must not be negative"))
    };
    value.map(read).transpose()
}

/// Tells what a key is.
pub(super) fn key(name: &str, header: &Header, versions: Vec<VersionInfo>) -> pb::Key {
    pb::Key {
        name: name.to_owned(),
        r#type: pb::KeyType::from(header.key_type).into(),
        latest_version: header.latest,
        min_decryption_version: header.min_decryption,
        min_encryption_version: header.min_encryption,
        min_available_version: header.min_available,
        deletion_allowed: header.deletion_allowed,
        exportable: header.exportable,
        plaintext_backup_allowed: header.plaintext_backup_allowed,
        imported: header.imported,
        disabled: header.disabled,
        auto_rotate_period: (header.auto_rotate != 0).then(|| duration(header.auto_rotate)),
        created: Some(timestamp(header.created)),
        versions: versions.into_iter().map(version).collect(),
    }
}

/// Tells what was exported.
pub(super) fn exported((key_type, versions): (KeyType, Vec<Exported>)) -> pb::ExportKeyResponse {
    let version = |exported: Exported| pb::ExportedVersion {
        version: exported.number,
        material: exported.material.expose().to_vec().into(),
    };
    pb::ExportKeyResponse {
        r#type: pb::KeyType::from(key_type).into(),
        versions: versions.into_iter().map(version).collect(),
    }
}

fn version(info: VersionInfo) -> pb::KeyVersion {
    pb::KeyVersion {
        version: info.number,
        created: Some(timestamp(info.created)),
        public_key_pem: info.public.map(|spki| pem::write_spki_pem(&spki)).unwrap_or_default(),
        encryptions: info.encryptions,
        certificate_chain_pem: info.certificate_chain.unwrap_or_default(),
    }
}

fn timestamp(millis: u64) -> prost_types::Timestamp {
    let prost_types::Duration { seconds, nanos } = duration(millis);
    prost_types::Timestamp { seconds, nanos }
}

fn duration(millis: u64) -> prost_types::Duration {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(millis % 1000).unwrap_or_default() * 1_000_000;
    prost_types::Duration { seconds, nanos }
}
