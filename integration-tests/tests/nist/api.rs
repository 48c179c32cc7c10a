//! The cases through gRPC: each key is imported once, and its cases are put in batches.

use crate::{
    cases::{self, Cbc, Hash, Hashed, Mac, Sealed},
    signatures::{self, Signed},
    table::{File, Outcome, Table},
    vectors::Folder,
};
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use integration_tests::{
    crypto::{Client, Installation},
    gateway::Settings,
};
use patchbay_crypto::{aead::Algorithm, digest::Algorithm as Digest};
use patchbay_proto::crypto::v1::{
    DecryptBatchRequest, DecryptRequest, DigestAlgorithm, DigestBatchRequest, DigestRequest,
    HmacBatchRequest, HmacRequest, ImportKeyRequest, ItemError, KeyType, SignatureScheme, VerifyBatchRequest,
    VerifyHmacBatchRequest, VerifyHmacRequest, VerifyRequest, data_client::DataClient, decrypt_result,
    digest_result, hash_client::HashClient, hmac_result, keys_client::KeysClient, verify_hmac_result,
    verify_result,
};
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Imports at one time.
const IMPORTS: usize = 32;
/// Items of a batch; the longest messages have 25 KiB, and a request has 4 MiB at most.
const BATCH: usize = 150;
/// Reasons that are `INVALID_ARGUMENT` where they are the answer to a whole call.
const INVALID_ARGUMENT: [&str; 5] = ["BAD_REQUEST", "DECRYPTION_FAILED", "KEY_TYPE", "TOO_LARGE", "WEAK_KEY"];
/// What stands for a hash function that has no number.
const UNKNOWN: i32 = 99;
/// What a ciphertext begins with: its form, and the version of its key.
const HEADER: [u8; 5] = [1, 0, 0, 0, 1];

/// Runs every file against a service of its own.
pub(crate) async fn run(folder: &Folder) -> Result<Table> {
    let place = tempfile::tempdir()?;
    let installation = Installation::create(place.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let mut api = Api { client: replica.client(&installation.admin()?)?, keys: BTreeMap::new() };
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

/// What is imported: a type and its material.
type Material = (KeyType, Vec<u8>);

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
    let key_type = match case.algorithm {
        Algorithm::Aes128Gcm => KeyType::Aes128Gcm96,
        Algorithm::Aes192Gcm => KeyType::Aes192Gcm96,
        _ => KeyType::Aes256Gcm96,
    };
    Decryption {
        key: (key_type, case.key.clone()),
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
    let Ok(digest) = digest else { return UNKNOWN };
    let number = match digest {
        Digest::Md5 => DigestAlgorithm::Md5,
        Digest::Sha1 => DigestAlgorithm::Sha1,
        Digest::Sha224 => DigestAlgorithm::Sha2224,
        Digest::Sha256 => DigestAlgorithm::Sha2256,
        Digest::Sha384 => DigestAlgorithm::Sha2384,
        Digest::Sha512 => DigestAlgorithm::Sha2512,
        Digest::Sha3_224 => DigestAlgorithm::Sha3224,
        Digest::Sha3_256 => DigestAlgorithm::Sha3256,
        Digest::Sha3_384 => DigestAlgorithm::Sha3384,
        Digest::Sha3_512 => DigestAlgorithm::Sha3512,
        Digest::Blake2b512 => DigestAlgorithm::Blake2b512,
        Digest::Blake2s256 => DigestAlgorithm::Blake2s256,
    };
    number.into()
}

/// The service, and the names of the keys that it has taken; `None` is one that it has refused.
struct Api {
    client: Client,
    keys: BTreeMap<(i32, Vec<u8>), Option<String>>,
}

/// A case whose key was taken: where it is in its file, it itself, and the name of its key.
type Put<'a, T> = (usize, &'a T, String);

impl Api {
    /// Imports every key that is not there yet.
    async fn import(&mut self, keys: impl Iterator<Item = Material>) -> Result<()> {
        let mut missing: Vec<Material> = keys.filter(|key| !self.keys.contains_key(&id(key))).collect();
        missing.sort_by_key(id);
        missing.dedup();
        let first = self.keys.len();
        let imports = missing.into_iter().enumerate().map(|(number, key)| {
            let (client, name) = (self.client.clone(), format!("vector-{}", first + number));
            async move {
                let taken = import(client, &name, &key).await?;
                anyhow::Ok((id(&key), taken.then_some(name)))
            }
        });
        let imported: Vec<_> = stream::iter(imports).buffer_unordered(IMPORTS).try_collect().await?;
        self.keys.extend(imported);
        Ok(())
    }

    /// Imports the keys of cases, and leaves out the cases whose key was refused: they are refused.
    async fn put<'a, T>(&mut self, cases: &'a [T], key: impl Fn(&T) -> Material) -> Result<Vec<Put<'a, T>>> {
        self.import(cases.iter().map(&key)).await?;
        let name = |case: &T| self.keys.get(&id(&key(case))).cloned().flatten();
        Ok(cases.iter().enumerate().filter_map(|(at, case)| Some((at, case, name(case)?))).collect())
    }

    fn data(&self) -> DataClient<Client> {
        DataClient::new(self.client.clone())
    }

    async fn digest(&mut self, file: &File<Hashed>) -> Result<Vec<Outcome>> {
        let (mut outcomes, mut hash) = (Vec::new(), HashClient::new(self.client.clone()));
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
        let put = self.put(&cases, |case| (KeyType::Hmac, case.key.clone())).await?;
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
        let put = self.put(&cases, |case| case.key.clone()).await?;
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
        let put = self.put(&cases, |case| ecdsa(case)).await?;
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

fn id((key_type, material): &Material) -> (i32, Vec<u8>) {
    ((*key_type).into(), material.clone())
}

/// Tells whether a key was taken; a refusal is `INVALID_ARGUMENT`.
async fn import(client: Client, name: &str, (key_type, material): &Material) -> Result<bool> {
    let request = ImportKeyRequest {
        name: name.to_owned(),
        r#type: (*key_type).into(),
        material: material.clone().into(),
        password: String::new(),
        exportable: false,
    };
    match KeysClient::new(client).import_key(request).await {
        Ok(_) => Ok(true),
        Err(status) => invalid_argument(&status).map(|()| false),
    }
}

fn invalid_argument(status: &Status) -> Result<()> {
    ensure!(status.code() == Code::InvalidArgument, "refused with {status:?}");
    Ok(())
}

/// The results, if there is one for each item.
fn all<T>(results: Vec<T>, items: usize) -> Result<Vec<T>> {
    ensure!(results.len() == items, "{} results for {items} items", results.len());
    Ok(results)
}

fn agreed(is_right: bool) -> Outcome {
    if is_right { Outcome::Accepted } else { Outcome::Broken }
}

fn refused(error: &ItemError) -> Outcome {
    if INVALID_ARGUMENT.contains(&error.reason.as_str()) { Outcome::Refused } else { Outcome::Broken }
}
