//! The cases through gRPC: each key is imported once, and its cases are put in batches.

use crate::{
    cases::{self, Cbc, Mac, Oaep, Pbes2, Pbkdf2, Sealed},
    table::{Case, File, Outcome, Table},
};
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use integration_tests::{
    crypto::Installation,
    gateway::Settings,
    vectors::{
        IMPORTS, Keys, Material, all, digest_algorithm, import, invalid_argument, is_refusal, key_type,
    },
};
use patchbay_proto::crypto::v1::{
    DecryptBatchRequest, DecryptRequest, ItemError, KeyType, VerifyHmacBatchRequest, VerifyHmacRequest,
    VerifyPasswordRequest, data_client::DataClient, decrypt_result, passwords_client::PasswordsClient,
    verify_hmac_result,
};

/// Items of a batch.
const BATCH: usize = 500;
/// Runs every file against a service of its own.
pub(crate) async fn run() -> Result<Table> {
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let mut api = Api { keys: Keys::new(replica.client(&installation.admin()?)?) };
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

/// The service.
struct Api {
    keys: Keys,
}

impl Api {
    async fn decrypt<T>(&mut self, file: &File<T>, of: impl Fn(&T) -> Decryption) -> Result<Vec<Outcome>> {
        let wanted: Vec<Decryption> = file.cases.iter().map(|case| of(&case.input)).collect();
        let mut outcomes = vec![Outcome::Refused; wanted.len()];
        let put = self.keys.put(&wanted, |case| case.key.clone()).await?;
        let mut data = DataClient::new(self.keys.client());
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| DecryptRequest {
                key: name.clone(),
                ciphertext: [&[1, 0, 0, 0, 1], &case.body[..]].concat().into(),
                associated_data: case.aad.clone().into(),
            });
            let request = DecryptBatchRequest { items: items.collect() };
            let results = all(data.decrypt_batch(request).await?.into_inner().results, batch.len())?;
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
        let mut outcomes = vec![Outcome::Refused; file.cases.len()];
        let put = self.keys.put(&file.cases, |case| (KeyType::Hmac, case.input.key.clone())).await?;
        let mut data = DataClient::new(self.keys.client());
        for batch in put.chunks(BATCH) {
            let items = batch.iter().map(|(_, case, name)| VerifyHmacRequest {
                key: name.clone(),
                message: case.input.message.clone().into(),
                hmac: case.input.tag.clone().into(),
                digest: digest_algorithm(case.input.digest).into(),
                key_version: 0,
            });
            let request = VerifyHmacBatchRequest { items: items.collect() };
            let results = all(data.verify_hmac_batch(request).await?.into_inner().results, batch.len())?;
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
            let (client, input) = (self.keys.client(), case.input.clone());
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
        let mut passwords = PasswordsClient::new(self.keys.client());
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

fn refused(error: &ItemError) -> Outcome {
    if is_refusal(error) { Outcome::Refused } else { Outcome::Broken }
}
