//! What tests with published vectors share: keys of theirs in a running service, what counts as a refusal there, and a little DER.

use crate::crypto::Client;
use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use patchbay_crypto::{aead, digest};
use patchbay_proto::crypto::v1::{
    DigestAlgorithm, ImportKeyRequest, ItemError, KeyType, keys_client::KeysClient,
};
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Imports at one time.
pub const IMPORTS: usize = 32;

/// Reasons that are `INVALID_ARGUMENT` where they are the answer to a whole call.
const INVALID_ARGUMENT: [&str; 5] = ["BAD_REQUEST", "DECRYPTION_FAILED", "KEY_TYPE", "TOO_LARGE", "WEAK_KEY"];

/// What is imported: a type and its material.
pub type Material = (KeyType, Vec<u8>);

/// A case whose key was taken: where it is in its file, it itself, and the name of its key.
pub type Put<'a, T> = (usize, &'a T, String);

/// The names of the keys that a service has taken; `None` is one that it has refused.
pub struct Keys {
    client: Client,
    names: BTreeMap<(i32, Vec<u8>), Option<String>>,
}

impl Keys {
    /// None yet.
    pub fn new(client: Client) -> Self {
        Self { client, names: BTreeMap::new() }
    }

    /// The service.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Imports the keys of cases that are not there yet, and leaves out the cases whose key was refused: they are refused.
    pub async fn put<'a, T>(
        &mut self,
        cases: &'a [T],
        key: impl Fn(&T) -> Material,
    ) -> Result<Vec<Put<'a, T>>> {
        self.import(cases.iter().map(&key)).await?;
        let name = |case: &T| self.names.get(&id(&key(case))).cloned().flatten();
        Ok(cases.iter().enumerate().filter_map(|(at, case)| Some((at, case, name(case)?))).collect())
    }

    async fn import(&mut self, keys: impl Iterator<Item = Material>) -> Result<()> {
        let mut missing: Vec<Material> = keys.filter(|key| !self.names.contains_key(&id(key))).collect();
        missing.sort_by_key(id);
        missing.dedup();
        let first = self.names.len();
        let imports = missing.into_iter().enumerate().map(|(number, key)| {
            let (client, name) = (self.client.clone(), format!("vector-{}", first + number));
            async move {
                let taken = import(client, &name, &key, "").await?;
                anyhow::Ok((id(&key), taken.then_some(name)))
            }
        });
        let imported: Vec<_> = stream::iter(imports).buffer_unordered(IMPORTS).try_collect().await?;
        self.names.extend(imported);
        Ok(())
    }
}

fn id((key_type, material): &Material) -> (i32, Vec<u8>) {
    ((*key_type).into(), material.clone())
}

/// Tells whether a key was taken; a refusal is `INVALID_ARGUMENT`.
pub async fn import(
    client: Client,
    name: &str,
    (key_type, material): &Material,
    password: &str,
) -> Result<bool> {
    let request = ImportKeyRequest {
        name: name.to_owned(),
        r#type: (*key_type).into(),
        material: material.clone().into(),
        password: password.to_owned(),
        exportable: false,
        ..ImportKeyRequest::default()
    };
    match KeysClient::new(client).import_key(request).await {
        Ok(_) => Ok(true),
        Err(status) => invalid_argument(&status).map(|()| false),
    }
}

/// Fails for every refusal but `INVALID_ARGUMENT`.
pub fn invalid_argument(status: &Status) -> Result<()> {
    ensure!(status.code() == Code::InvalidArgument, "refused with {status:?}");
    Ok(())
}

/// Whether an item was refused for what is in it.
pub fn is_refusal(error: &ItemError) -> bool {
    INVALID_ARGUMENT.contains(&error.reason.as_str())
}

/// The results, if there is one for each item.
pub fn all<T>(results: Vec<T>, items: usize) -> Result<Vec<T>> {
    ensure!(results.len() == items, "{} results for {items} items", results.len());
    Ok(results)
}

/// The interface's word for a hash function.
pub fn digest_algorithm(digest: digest::Algorithm) -> DigestAlgorithm {
    use digest::Algorithm;
    match digest {
        Algorithm::Md5 => DigestAlgorithm::Md5,
        Algorithm::Sha1 => DigestAlgorithm::Sha1,
        Algorithm::Sha224 => DigestAlgorithm::Sha2224,
        Algorithm::Sha256 => DigestAlgorithm::Sha2256,
        Algorithm::Sha384 => DigestAlgorithm::Sha2384,
        Algorithm::Sha512 => DigestAlgorithm::Sha2512,
        Algorithm::Sha3_224 => DigestAlgorithm::Sha3224,
        Algorithm::Sha3_256 => DigestAlgorithm::Sha3256,
        Algorithm::Sha3_384 => DigestAlgorithm::Sha3384,
        Algorithm::Sha3_512 => DigestAlgorithm::Sha3512,
        Algorithm::Blake2b512 => DigestAlgorithm::Blake2b512,
        Algorithm::Blake2s256 => DigestAlgorithm::Blake2s256,
    }
}

/// The interface's word for a cipher.
pub fn key_type(algorithm: aead::Algorithm) -> KeyType {
    use aead::Algorithm;
    match algorithm {
        Algorithm::Xaes256Gcm => KeyType::Xaes256Gcm,
        Algorithm::Aes128Gcm => KeyType::Aes128Gcm96,
        Algorithm::Aes192Gcm => KeyType::Aes192Gcm96,
        Algorithm::Aes256Gcm => KeyType::Aes256Gcm96,
        Algorithm::ChaCha20Poly1305 => KeyType::Chacha20Poly1305,
        Algorithm::Aes256CbcHmacSha512 => KeyType::Aes256CbcHmacSha512,
    }
}

/// A DER value of 65,535 bytes at most (X.690, section 8.1).
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("what a vector holds is short").to_be_bytes();
    let mut out = vec![tag];
    match length {
        [0, short @ 0..=127] => out.push(short),
        [0, long] => out.extend([0x81, long]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
    out
}
