//! The cases through gRPC: each key is imported once, and its cases are put in batches.

use crate::{
    cases::{self, Cbc, Hash, Hashed, Mac, Sealed},
    signatures::{self, Signed},
    table::{File, Outcome, Table},
    vectors::Folder,
};
use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Client, Installation},
    gateway::Settings,
    vectors::{Keys, Material, all, digest_algorithm, is_refusal, key_type},
};
use patchbay_proto::crypto::v1::{
    DecryptBatchRequest, DecryptRequest, DigestBatchRequest, DigestRequest, HmacBatchRequest, HmacRequest,
    ItemError, KeyType, SignatureScheme, VerifyBatchRequest, VerifyHmacBatchRequest, VerifyHmacRequest,
    VerifyRequest, data_client::DataClient, decrypt_result, digest_result, hash_client::HashClient,
    hmac_result, verify_hmac_result, verify_result,
};

/// Items of a batch; the longest messages have 25 KiB, and a request has 4 MiB at most.
const BATCH: usize = 150;
/// What stands for a hash function that has no number.
const UNKNOWN: i32 = 99;
/// What a ciphertext begins with: its form, and the version of its key.
const HEADER: [u8; 5] = [1, 0, 0, 0, 1];

/// Runs every file against a service of its own.
pub(crate) async fn run(folder: &Folder) -> Result<Table> {
    let place = tempfile::tempdir()?;
    let installation = Installation::create(place.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let mut api = Api { keys: Keys::new(replica.client(&installation.admin()?)?) };
    let mut table = Table::default();
    for file in cases::digest_files(folder)? {
        table.judge(&file, &api.digest(&file).await?);
    }
    for file in cases::mac_files(folder)? {
        table.judge(&file, &api.hmac(&file).await?);
    }
    for mut file in cases::gcm_files(folder)? {
        thin(&mut file);
        table.judge(&file, &api.decrypt(&file, gcm).await?);
    }
    for file in cases::cbc_files(folder)? {
        table.judge(&file, &api.decrypt(&file, cbc).await?);
    }
    let file = signatures::ecdsa_made(folder)?;
    table.judge(&file, &api.verify(&file).await?);
    Ok(table)
}

/// AES-GCM's cases have a key each, and an import takes a millisecond: of the cases that are not offered, the first three of the fifteen
/// with the same lengths are put. Those that are offered are all put.
fn thin(file: &mut File<Sealed>) {
    const SAME_LENGTHS: usize = 15;
    const PUT: usize = 3;
    if file.cases.len() < file.at_least {
        // Judged as it is, it fails.
        return;
    }
    file.cases.retain(|case| case.not_offered.is_none() || case.id % SAME_LENGTHS < PUT);
    file.at_least = 25 * SAME_LENGTHS + 500 * PUT;
}

/// Tells whether a plaintext is right.
type IsRight<'a> = Box<dyn Fn(&[u8]) -> bool + Send + 'a>;

/// Something to decrypt with a key.
struct Decryption<'a> {
    key: Material,
    aad: &'a [u8],
    body: &'a [u8],
    is_right: IsRight<'a>,
}

fn gcm(case: &Sealed) -> Decryption<'_> {
    Decryption {
        key: (key_type(case.algorithm), case.key.clone()),
        aad: &case.aad,
        body: &case.message,
        is_right: Box::new(|found| found == case.plaintext),
    }
}

fn cbc(case: &Cbc) -> Decryption<'_> {
    Decryption {
        key: (KeyType::Aes256CbcLegacy, case.key.clone()),
        aad: &[],
        body: &case.message,
        is_right: Box::new(|found| case.is_plaintext(found)),
    }
}

/// A case on another curve is put as the nearest one that is offered, and refused for what is in its document.
fn ecdsa(case: &Signed) -> Material {
    let key_type = match case.width {
        0..=32 => KeyType::EcdsaP256,
        33..=48 => KeyType::EcdsaP384,
        _ => KeyType::EcdsaP521,
    };
    (key_type, case.private_key.clone().unwrap_or_default())
}

fn number(digest: Hash) -> i32 {
    digest.map_or(UNKNOWN, |digest| digest_algorithm(digest).into())
}

/// The service.
struct Api {
    keys: Keys,
}

impl Api {
    fn data(&self) -> DataClient<Client> {
        DataClient::new(self.keys.client())
    }

    async fn digest(&mut self, file: &File<Hashed>) -> Result<Vec<Outcome>> {
        let (mut outcomes, mut hash) = (Vec::new(), HashClient::new(self.keys.client()));
        for batch in file.cases.chunks(BATCH) {
            let items = batch.iter().map(|case| DigestRequest {
                algorithm: number(case.input.digest),
                data: case.input.message.clone().into(),
                allow_unsafe: true,
            });
            let request = DigestBatchRequest { items: items.collect() };
            let results = all(hash.digest_batch(request).await?.into_inner().results, batch.len())?;
            for (case, result) in batch.iter().zip(results) {
                outcomes.push(match result.outcome.context("a result without outcome")? {
                    digest_result::Outcome::Ok(ok) => agreed(
                        ok.digest == case.input.expected && ok.hex == hex::encode(&case.input.expected),
                    ),
                    digest_result::Outcome::Error(error) => refused(&error),
                });
            }
        }
        Ok(outcomes)
    }

    /// Computes each HMAC, and has it compared.
    async fn hmac(&mut self, file: &File<Mac>) -> Result<Vec<Outcome>> {
        let cases: Vec<_> = file.cases.iter().map(|case| &case.input).collect();
        let mut outcomes = vec![Outcome::Refused; cases.len()];
        let put = self.keys.put(&cases, |case| (KeyType::Hmac, case.key.clone())).await?;
        let items = put.iter().map(|(_, case, name)| HmacRequest {
            key: name.clone(),
            message: case.message.clone().into(),
            digest: number(case.digest),
            key_version: 0,
        });
        let computed = self.data().hmac_batch(HmacBatchRequest { items: items.collect() }).await?;
        let items = put.iter().map(|(_, case, name)| VerifyHmacRequest {
            key: name.clone(),
            message: case.message.clone().into(),
            hmac: case.tag.clone().into(),
            digest: number(case.digest),
            key_version: 0,
        });
        let verified =
            self.data().verify_hmac_batch(VerifyHmacBatchRequest { items: items.collect() }).await?;
        let computed = all(computed.into_inner().results, put.len())?;
        let verified = all(verified.into_inner().results, put.len())?;
        for ((at, case, _), (computed, verified)) in put.iter().zip(computed.into_iter().zip(verified)) {
            let computed = match computed.outcome.context("a result without outcome")? {
                hmac_result::Outcome::Ok(ok) => agreed(ok.hmac == case.tag),
                hmac_result::Outcome::Error(error) => refused(&error),
            };
            let verified = match verified.outcome.context("a result without outcome")? {
                verify_hmac_result::Outcome::Ok(ok) => agreed(ok.is_valid),
                verify_hmac_result::Outcome::Error(error) => refused(&error),
            };
            outcomes[*at] = if computed == verified { computed } else { Outcome::Broken };
        }
        Ok(outcomes)
    }

    async fn decrypt<T>(
        &mut self,
        file: &File<T>,
        of: impl Fn(&T) -> Decryption<'_>,
    ) -> Result<Vec<Outcome>> {
        let cases: Vec<_> = file.cases.iter().map(|case| of(&case.input)).collect();
        let mut outcomes = vec![Outcome::Refused; cases.len()];
        let put = self.keys.put(&cases, |case| case.key.clone()).await?;
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| DecryptRequest {
                key: name.clone(),
                ciphertext: [&HEADER, case.body].concat().into(),
                associated_data: case.aad.to_vec().into(),
            });
            let request = DecryptBatchRequest { items: items.collect() };
            let results = all(self.data().decrypt_batch(request).await?.into_inner().results, batch.len())?;
            for ((at, case, _), result) in batch.iter().zip(results) {
                outcomes[*at] = match result.outcome.context("a result without outcome")? {
                    decrypt_result::Outcome::Ok(ok) => agreed((case.is_right)(&ok.plaintext)),
                    decrypt_result::Outcome::Error(error) => refused(&error),
                };
            }
        }
        Ok(outcomes)
    }

    async fn verify(&mut self, file: &File<Signed>) -> Result<Vec<Outcome>> {
        let cases: Vec<_> = file.cases.iter().map(|case| &case.input).collect();
        let mut outcomes = vec![Outcome::Refused; cases.len()];
        let put = self.keys.put(&cases, |case| ecdsa(case)).await?;
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| VerifyRequest {
                key: name.clone(),
                message: case.message.clone().into(),
                signature: case.signature.clone().into(),
                digest: number(Ok(case.digest)),
                scheme: SignatureScheme::EcdsaP1363.into(),
                ..VerifyRequest::default()
            });
            let request = VerifyBatchRequest { items: items.collect() };
            let results = all(self.data().verify_batch(request).await?.into_inner().results, batch.len())?;
            for ((at, ..), result) in batch.iter().zip(results) {
                outcomes[*at] = match result.outcome.context("a result without outcome")? {
                    verify_result::Outcome::Ok(ok) => agreed(ok.is_valid),
                    verify_result::Outcome::Error(error) => refused(&error),
                };
            }
        }
        Ok(outcomes)
    }
}

fn agreed(is_right: bool) -> Outcome {
    if is_right { Outcome::Accepted } else { Outcome::Broken }
}

fn refused(error: &ItemError) -> Outcome {
    if is_refusal(error) { Outcome::Refused } else { Outcome::Broken }
}
