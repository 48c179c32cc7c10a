//! The signature schemes as aws-lc-rs wants them: one static value for each padding, digest and length of salt.

use super::Salt;
use crate::{Error, message::Sha2};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaParameters,
    RsaPssSaltLength as Length, RsaSignatureEncoding,
};
use std::sync::LazyLock;

/// The longest salt of all: 4096 bits with SHA-256.
const LONGEST: u16 = 512 - 32 - 2;

/// Schemes with a salt of 0, 1, 2 ... bytes for one digest. aws-lc-rs takes `'static` schemes only, so they are made once.
struct Salted<T>([Vec<T>; 3]);

impl<T> Salted<T> {
    fn new(make: impl Fn(Sha2, Length) -> T) -> Self {
        let of = |sha2| (0..=LONGEST).map(|bytes| make(sha2, Length::Custom(bytes))).collect();
        Self([of(Sha2::Sha256), of(Sha2::Sha384), of(Sha2::Sha512)])
    }

    fn get(&self, sha2: Sha2, bytes: u16) -> Option<&T> {
        let [sha256, sha384, sha512] = &self.0;
        let schemes = match sha2 {
            Sha2::Sha256 => sha256,
            Sha2::Sha384 => sha384,
            Sha2::Sha512 => sha512,
        };
        schemes.get(usize::from(bytes))
    }
}

static SIGNING: LazyLock<Salted<RsaSignatureEncoding>> =
    LazyLock::new(|| Salted::new(|sha2, length| signing_base(sha2).with_pss_salt_length(length)));
static VERIFYING: LazyLock<Salted<RsaParameters>> =
    LazyLock::new(|| Salted::new(|sha2, length| verifying_base(sha2).with_pss_salt_length(length)));

const fn signing_base(sha2: Sha2) -> RsaSignatureEncoding {
    match sha2 {
        Sha2::Sha256 => RSA_PSS_SHA256,
        Sha2::Sha384 => RSA_PSS_SHA384,
        Sha2::Sha512 => RSA_PSS_SHA512,
    }
}

const fn verifying_base(sha2: Sha2) -> RsaParameters {
    match sha2 {
        Sha2::Sha256 => RSA_PSS_2048_8192_SHA256,
        Sha2::Sha384 => RSA_PSS_2048_8192_SHA384,
        Sha2::Sha512 => RSA_PSS_2048_8192_SHA512,
    }
}

/// Scheme to sign with; the salt must fit into a key of so many bits.
pub(super) fn signing_pss(
    sha2: Sha2,
    salt: Salt,
    bits: usize,
) -> Result<&'static RsaSignatureEncoding, Error> {
    match salt {
        Salt::Digest => Ok(match sha2 {
            Sha2::Sha256 => &RSA_PSS_SHA256,
            Sha2::Sha384 => &RSA_PSS_SHA384,
            Sha2::Sha512 => &RSA_PSS_SHA512,
        }),
        Salt::Max => Ok(match sha2 {
            Sha2::Sha256 => &const { RSA_PSS_SHA256.with_pss_salt_length(Length::Max) },
            Sha2::Sha384 => &const { RSA_PSS_SHA384.with_pss_salt_length(Length::Max) },
            Sha2::Sha512 => &const { RSA_PSS_SHA512.with_pss_salt_length(Length::Max) },
        }),
        Salt::Bytes(bytes) => {
            check_salt(sha2, bytes, bits)?;
            SIGNING.get(sha2, bytes).ok_or(Error::Library)
        }
    }
}

/// Scheme to verify a salt of so many bytes with.
pub(super) fn verifying_salted(sha2: Sha2, bytes: u16, bits: usize) -> Result<&'static RsaParameters, Error> {
    check_salt(sha2, bytes, bits)?;
    VERIFYING.get(sha2, bytes).ok_or(Error::Library)
}

/// RFC 8017, section 9.1.1: the encoded message has a salt, a digest and two more bytes.
fn check_salt(sha2: Sha2, bytes: u16, bits: usize) -> Result<(), Error> {
    let most = (bits - 1).div_ceil(8) - sha2.length() - 2;
    if usize::from(bytes) <= most {
        return Ok(());
    }
    Err(Error::Input(format!("a salt has {most} bytes at most with this key and digest, not {bytes}")))
}

pub(super) fn verifying_pss_digest(sha2: Sha2) -> &'static RsaParameters {
    match sha2 {
        Sha2::Sha256 => &RSA_PSS_2048_8192_SHA256,
        Sha2::Sha384 => &RSA_PSS_2048_8192_SHA384,
        Sha2::Sha512 => &RSA_PSS_2048_8192_SHA512,
    }
}

pub(super) fn verifying_pss_max(sha2: Sha2) -> &'static RsaParameters {
    match sha2 {
        Sha2::Sha256 => &const { RSA_PSS_2048_8192_SHA256.with_pss_salt_length(Length::Max) },
        Sha2::Sha384 => &const { RSA_PSS_2048_8192_SHA384.with_pss_salt_length(Length::Max) },
        Sha2::Sha512 => &const { RSA_PSS_2048_8192_SHA512.with_pss_salt_length(Length::Max) },
    }
}

pub(super) fn signing_pkcs1v15(sha2: Sha2) -> &'static RsaSignatureEncoding {
    match sha2 {
        Sha2::Sha256 => &RSA_PKCS1_SHA256,
        Sha2::Sha384 => &RSA_PKCS1_SHA384,
        Sha2::Sha512 => &RSA_PKCS1_SHA512,
    }
}

pub(super) fn verifying_pkcs1v15(sha2: Sha2) -> &'static RsaParameters {
    match sha2 {
        Sha2::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        Sha2::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        Sha2::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
    }
}
