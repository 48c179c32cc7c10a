//! The cases through gRPC: each key is imported once, and its cases are put in batches.

use crate::{
    cases::{self, Cbc, Mac, Oaep, Pbes2, Pbkdf2, Sealed},
    table::{Case, File, Outcome, Table},
};
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use integration_tests::{
    crypto::{Client, Installation},
    gateway::Settings,
};
use patchbay_crypto::{aead::Algorithm, digest::Algorithm as Digest};
use patchbay_proto::crypto::v1::{
    DecryptBatchRequest, DecryptRequest, DigestAlgorithm, ImportKeyRequest, ItemError, KeyType,
    VerifyHmacBatchRequest, VerifyHmacRequest, VerifyPasswordRequest, data_client::DataClient,
    decrypt_result, keys_client::KeysClient, passwords_client::PasswordsClient, verify_hmac_result,
};
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Imports at one time.
const IMPORTS: usize = 16;
/// Items of a batch.
const BATCH: usize = 500;
/// Reasons that are `INVALID_ARGUMENT` where they are the answer to a whole call.
const INVALID_ARGUMENT: [&str; 5] = ["BAD_REQUEST", "DECRYPTION_FAILED", "KEY_TYPE", "TOO_LARGE", "WEAK_KEY"];

/// Runs every file against a service of its own.
pub(crate) async fn run() -> Result<Table> {
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let mut api = Api { client: replica.client(&installation.admin()?)?, keys: BTreeMap::new() };
    let mut table = Table::default();
    for file in cases::aead_files()? {
        let outcomes = api.decrypt(&file, |case: &Sealed| Decryption {
            key: (key_type(case.algorithm), case.key.clone()),
            aad: case.aad.clone(),
            body: case.message.clone(),
            plaintext: case.plaintext.clone(),
        });
        table.judge(&file, &outcomes.await?);
    }
    let file = cases::cbc_file()?;
    table.judge(&file, &api.decrypt(&file, cbc).await?);
    for file in cases::mac_files()? {
        table.judge(&file, &api.verify_hmac(&file).await?);
    }
    for mut file in cases::oaep_files()? {
        file.cases.iter_mut().for_each(offer_sizes);
        table.judge(&file, &api.decrypt(&file, oaep).await?);
    }
    for mut file in cases::pbes2_files()? {
        file.cases.iter_mut().for_each(offer_no_key);
        table.judge(&file, &api.import_encrypted(&file).await?);
    }
    let mut file = cases::pbkdf2_file()?;
    file.cases.iter_mut().for_each(offer_text);
    table.judge(&file, &api.verify_passwords(&file).await?);
    Ok(table)
}

/// What is imported: a type and its material.
type Material = (KeyType, Vec<u8>);

/// Something to decrypt with a key.
struct Decryption {
    key: Material,
    aad: Vec<u8>,
    body: Vec<u8>,
    plaintext: Vec<u8>,
}

fn cbc(case: &Cbc) -> Decryption {
    let key = (KeyType::Aes256CbcLegacy, case.key.clone());
    Decryption { key, aad: Vec::new(), body: case.message.clone(), plaintext: case.plaintext.clone() }
}

fn oaep(case: &Oaep) -> Decryption {
    let key = match case.bits {
        3072 => KeyType::Rsa3072,
        4096 => KeyType::Rsa4096,
        _ => KeyType::Rsa2048,
    };
    let key = (key, case.pkcs8.clone());
    Decryption { key, aad: Vec::new(), body: case.ciphertext.clone(), plaintext: case.plaintext.clone() }
}

/// The service has keys of three lengths, the primitives take all between.
fn offer_sizes(case: &mut Case<Oaep>) {
    if case.not_offered.is_none() && ![2048, 3072, 4096].contains(&case.input.bits) {
        case.not_offered = Some("a key that has not 2048, 3072 or 4096 bits".to_owned());
    }
}

/// What is in these documents is no key, so that they are refused however well they are decrypted.
fn offer_no_key(case: &mut Case<Pbes2>) {
    let is_text = std::str::from_utf8(&case.input.password).is_ok();
    let reason = if is_text { "its plaintext is no private key" } else { "a password that is no UTF-8" };
    case.not_offered.get_or_insert_with(|| reason.to_owned());
}

/// A password in protobuf is text.
fn offer_text(case: &mut Case<Pbkdf2>) {
    if std::str::from_utf8(&case.input.password).is_err() {
        case.not_offered.get_or_insert_with(|| "a password that is no UTF-8".to_owned());
    }
}

fn key_type(algorithm: Algorithm) -> KeyType {
    match algorithm {
        Algorithm::Xaes256Gcm => KeyType::Xaes256Gcm,
        Algorithm::Aes128Gcm => KeyType::Aes128Gcm96,
        Algorithm::Aes192Gcm => KeyType::Aes192Gcm96,
        Algorithm::Aes256Gcm => KeyType::Aes256Gcm96,
        Algorithm::ChaCha20Poly1305 => KeyType::Chacha20Poly1305,
        Algorithm::Aes256CbcHmacSha512 => KeyType::Aes256CbcHmacSha512,
    }
}

fn digest(digest: Digest) -> DigestAlgorithm {
    match digest {
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
    }
}

/// The service, and the names of the keys that it has taken; `None` is one that it has refused.
struct Api {
    client: Client,
    keys: BTreeMap<(i32, Vec<u8>), Option<String>>,
}

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
                let taken = import(client, &name, &key, "").await?;
                anyhow::Ok((id(&key), taken.then_some(name)))
            }
        });
        let imported: Vec<_> = stream::iter(imports).buffer_unordered(IMPORTS).try_collect().await?;
        self.keys.extend(imported);
        Ok(())
    }

    fn name(&self, key: &Material) -> Option<String> {
        self.keys.get(&id(key)).cloned().flatten()
    }

    async fn decrypt<T>(&mut self, file: &File<T>, of: impl Fn(&T) -> Decryption) -> Result<Vec<Outcome>> {
        let wanted: Vec<Decryption> = file.cases.iter().map(|case| of(&case.input)).collect();
        self.import(wanted.iter().map(|case| case.key.clone())).await?;
        let mut outcomes = vec![Outcome::Refused; wanted.len()];
        // A case whose key was refused is refused.
        let put: Vec<_> = wanted
            .iter()
            .enumerate()
            .filter_map(|(at, case)| Some((at, case, self.name(&case.key)?)))
            .collect();
        let mut data = DataClient::new(self.client.clone());
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| DecryptRequest {
                key: name.clone(),
                ciphertext: [&[1, 0, 0, 0, 1], &case.body[..]].concat().into(),
                associated_data: case.aad.clone().into(),
            });
            let request = DecryptBatchRequest { items: items.collect() };
            let results = data.decrypt_batch(request).await?.into_inner().results;
            ensure!(results.len() == batch.len(), "{} results for {} items", results.len(), batch.len());
            for ((at, case, _), result) in batch.iter().zip(results) {
                outcomes[*at] = match result.outcome.context("a result without outcome")? {
                    decrypt_result::Outcome::Ok(ok) if ok.plaintext == case.plaintext => Outcome::Accepted,
                    decrypt_result::Outcome::Ok(_) => Outcome::Broken,
                    decrypt_result::Outcome::Error(error) => refused(&error),
                };
            }
        }
        Ok(outcomes)
    }

    async fn verify_hmac(&mut self, file: &File<Mac>) -> Result<Vec<Outcome>> {
        let key = |case: &Mac| (KeyType::Hmac, case.key.clone());
        self.import(file.cases.iter().map(|case| key(&case.input))).await?;
        let mut outcomes = vec![Outcome::Refused; file.cases.len()];
        let cases = file.cases.iter().enumerate();
        let put: Vec<_> =
            cases.filter_map(|(at, case)| Some((at, case, self.name(&key(&case.input))?))).collect();
        let mut data = DataClient::new(self.client.clone());
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| VerifyHmacRequest {
                key: name.clone(),
                message: case.input.message.clone().into(),
                hmac: case.input.tag.clone().into(),
                digest: digest(case.input.digest).into(),
                key_version: 0,
            });
            let request = VerifyHmacBatchRequest { items: items.collect() };
            let results = data.verify_hmac_batch(request).await?.into_inner().results;
            ensure!(results.len() == batch.len(), "{} results for {} items", results.len(), batch.len());
            for ((at, ..), result) in batch.iter().zip(results) {
                outcomes[*at] = match result.outcome.context("a result without outcome")? {
                    verify_hmac_result::Outcome::Ok(ok) if ok.is_valid => Outcome::Accepted,
                    verify_hmac_result::Outcome::Ok(_) => Outcome::Refused,
                    verify_hmac_result::Outcome::Error(error) => refused(&error),
                };
            }
        }
        Ok(outcomes)
    }

    async fn import_encrypted(&self, file: &File<Pbes2>) -> Result<Vec<Outcome>> {
        let imports = file.cases.iter().map(|case| {
            let (client, input) = (self.client.clone(), case.input.clone());
            async move {
                // What is no text cannot be said at all.
                let Ok(password) = String::from_utf8(input.password) else { return Ok(Outcome::Refused) };
                let key = (KeyType::Rsa2048, input.document);
                let taken = import(client, "encrypted", &key, &password).await?;
                anyhow::Ok(if taken { Outcome::Accepted } else { Outcome::Refused })
            }
        });
        stream::iter(imports).buffered(IMPORTS).try_collect().await
    }

    async fn verify_passwords(&self, file: &File<Pbkdf2>) -> Result<Vec<Outcome>> {
        let mut passwords = PasswordsClient::new(self.client.clone());
        let mut outcomes = Vec::new();
        for case in &file.cases {
            let outcome = match String::from_utf8(case.input.password.clone()) {
                Err(_) => Outcome::Refused,
                Ok(password) => {
                    let request = VerifyPasswordRequest { password, hash: case.input.hash.clone() };
                    match passwords.verify_password(request).await {
                        Ok(answer) if answer.get_ref().is_valid => Outcome::Accepted,
                        Ok(_) => Outcome::Refused,
                        Err(status) => invalid_argument(&status).map(|()| Outcome::Refused)?,
                    }
                }
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

fn id((key_type, material): &Material) -> (i32, Vec<u8>) {
    ((*key_type).into(), material.clone())
}

/// Tells whether a key was taken; a refusal is `INVALID_ARGUMENT`.
async fn import(client: Client, name: &str, (key_type, material): &Material, password: &str) -> Result<bool> {
    let request = ImportKeyRequest {
        name: name.to_owned(),
        r#type: (*key_type).into(),
        material: material.clone().into(),
        password: password.to_owned(),
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

fn refused(error: &ItemError) -> Outcome {
    if INVALID_ARGUMENT.contains(&error.reason.as_str()) { Outcome::Refused } else { Outcome::Broken }
}
