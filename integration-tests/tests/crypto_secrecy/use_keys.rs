//! Keys and what is done with them, rightly and wrongly.

use crate::{KEY, PRIVATE, search::Canaries};
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::stream;
use integration_tests::crypto::Client;
use patchbay_crypto::ed25519;
use patchbay_proto::crypto::v1::{
    self as pb, KeyType, data_client::DataClient, encoding_client::EncodingClient, hash_client::HashClient,
    keys_client::KeysClient, passwords_client::PasswordsClient,
};

fn import(name: &str, kind: KeyType, material: Bytes) -> pb::ImportKeyRequest {
    pb::ImportKeyRequest {
        name: name.into(),
        r#type: kind.into(),
        material,
        exportable: true,
        ..Default::default()
    }
}

pub(crate) async fn keys(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut keys = KeysClient::new(client.clone());
    keys.import_key(import(KEY, KeyType::Aes256Gcm96, canaries.bytes("material"))).await?;
    keys.import_key(import("mac", KeyType::Hmac, canaries.bytes("hmac"))).await?;
    let wrong_size = Bytes::from(canaries.make("wrong size") + "x");
    canaries.refused(keys.import_key(import("wrong", KeyType::Aes256Gcm96, wrong_size)).await);
    let made = pb::CreateKeyRequest {
        name: "made".into(),
        r#type: KeyType::Xaes256Gcm.into(),
        exportable: true,
        plaintext_backup_allowed: true,
        ..Default::default()
    };
    keys.create_key(made).await?;
    keys.rotate_key(pb::RotateKeyRequest { name: "made".into() }).await?;
    for name in [KEY, "made"] {
        let export = pb::ExportKeyRequest {
            name: name.into(),
            format: pb::ExportFormat::Raw.into(),
            ..Default::default()
        };
        for version in keys.export_key(export).await?.into_inner().versions {
            canaries.add("exported material", &version.material);
        }
    }
    let password = canaries.make("backup password");
    let backup = keys.backup_key(pb::BackupKeyRequest { name: KEY.into(), password: password.clone() });
    let backup = backup.await?.into_inner().backup;
    let mut restore =
        pb::RestoreKeyRequest { name: "restored".into(), backup, password, ..Default::default() };
    keys.restore_key(restore.clone()).await?;
    restore.password = canaries.make("wrong backup password");
    canaries.refused(keys.restore_key(restore.clone()).await);
    restore.backup = canaries.bytes("no backup");
    canaries.refused(keys.restore_key(restore).await);
    let plain = pb::BackupKeyRequest { name: "made".into(), ..Default::default() };
    let plain = keys.backup_key(plain).await?.into_inner().backup;
    canaries.add("a plaintext backup", plain.get(..200).context("it is longer")?);
    Ok(())
}

pub(crate) async fn private_keys(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut keys = KeysClient::new(client.clone());
    let seed = canaries.make("seed");
    let der = ed25519::PrivateKey::from_seed(seed.as_bytes())?.to_pkcs8()?;
    let der = Bytes::copy_from_slice(der.expose());
    keys.import_key(import(PRIVATE, KeyType::Ed25519, der)).await?;
    let body = STANDARD.encode(canaries.make("bad PEM"));
    let bad = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    canaries.refused(keys.import_key(import("bad", KeyType::EcdsaP256, bad.clone().into())).await);
    canaries.refused(keys.import_key(import("bad", KeyType::Rsa2048, bad.into())).await);
    let unclosed = format!("-----BEGIN PRIVATE KEY-----\n{}", canaries.make("unclosed PEM"));
    canaries.refused(keys.import_key(import("bad", KeyType::Rsa2048, unclosed.into())).await);
    let mut export = pb::ExportKeyRequest {
        name: PRIVATE.into(),
        format: pb::ExportFormat::Pkcs8Pem.into(),
        ..Default::default()
    };
    keys.export_key(export.clone()).await?;
    export.password = canaries.make("export password");
    let sealed = keys.export_key(export).await?.into_inner().versions.remove(0).material;
    let mut again = import("again", KeyType::Ed25519, sealed);
    again.password = canaries.make("wrong password");
    canaries.refused(keys.import_key(again).await);
    // What is private stands at the end of the one (RFC 8017, A.1.2) and before the public half in the other (RFC 5915, 3).
    for kind in [KeyType::Rsa2048, KeyType::EcdsaP256] {
        let name = kind.as_str_name().to_owned();
        let made = pb::CreateKeyRequest {
            name: name.clone(),
            r#type: kind.into(),
            exportable: true,
            ..Default::default()
        };
        keys.create_key(made).await?;
        let export =
            pb::ExportKeyRequest { name, format: pb::ExportFormat::Pkcs8Der.into(), ..Default::default() };
        let der = keys.export_key(export).await?.into_inner().versions.remove(0).material;
        let start = if kind == KeyType::EcdsaP256 { 36 } else { der.len() - 32 };
        canaries.add("an exported private key", der.get(start..start + 32).context("it is longer")?);
    }
    Ok(())
}

pub(crate) async fn data(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut data = DataClient::new(client.clone());
    let (key, rsa) = (|| KEY.to_owned(), || KeyType::Rsa2048.as_str_name().to_owned());
    let (plaintext, associated_data) = (canaries.bytes("plaintext"), canaries.bytes("associated data"));
    let encrypt = pb::EncryptRequest { key: key(), plaintext, associated_data, ..Default::default() };
    let ciphertext = data.encrypt(encrypt.clone()).await?.into_inner().ciphertext;
    data.encrypt_batch(pb::EncryptBatchRequest { items: vec![encrypt.clone(); 3] }).await?;
    let associated_data = encrypt.associated_data.clone();
    let mut decrypt = pb::DecryptRequest { key: key(), ciphertext: ciphertext.clone(), associated_data };
    data.decrypt(decrypt.clone()).await?;
    data.decrypt_batch(pb::DecryptBatchRequest { items: vec![decrypt.clone(); 3] }).await?;
    decrypt.associated_data = canaries.bytes("other data");
    canaries.refused(data.decrypt(decrypt.clone()).await);
    decrypt.ciphertext = canaries.bytes("no ciphertext");
    canaries.refused(data.decrypt(decrypt).await);
    let associated_data = encrypt.associated_data;
    data.rewrap(pb::RewrapRequest { key: key(), ciphertext, associated_data, ..Default::default() }).await?;
    let seal =
        pb::SealEnvelopeRequest { key: rsa(), plaintext: canaries.bytes("enveloped"), ..Default::default() };
    let envelope = data.seal_envelope(seal).await?.into_inner().envelope;
    data.open_envelope(pb::OpenEnvelopeRequest { key: rsa(), envelope, ..Default::default() }).await?;
    let made = data.generate_data_key(pb::GenerateDataKeyRequest { key: key(), ..Default::default() });
    canaries.add("a data key", &made.await?.into_inner().plaintext);
    let message = canaries.bytes("message");
    let sign = pb::SignRequest { key: PRIVATE.into(), message: message.clone(), ..Default::default() };
    data.sign(sign).await?;
    let signature = canaries.bytes("no signature");
    let verify =
        pb::VerifyRequest { key: PRIVATE.into(), message: message.clone(), signature, ..Default::default() };
    ensure!(!data.verify(verify).await.is_ok_and(|told| told.into_inner().is_valid));
    data.hmac(pb::HmacRequest { key: "mac".into(), message, ..Default::default() }).await?;
    let random = data.random(pb::RandomRequest { size: 32 }).await?.into_inner().data;
    canaries.add("random bytes", &random);
    Ok(())
}

pub(crate) async fn passwords_and_hashes(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut passwords = PasswordsClient::new(client.clone());
    for pepper in [false, true] {
        let password = canaries.make("hashed password");
        let request = pb::HashPasswordRequest { password: password.clone(), pepper, ..Default::default() };
        let hash = passwords.hash_password(request).await?.into_inner().hash;
        let mut verify = pb::VerifyPasswordRequest { password, hash };
        ensure!(passwords.verify_password(verify.clone()).await?.into_inner().is_valid);
        verify.password = canaries.make("wrong password");
        ensure!(!passwords.verify_password(verify.clone()).await?.into_inner().is_valid);
        verify.hash = canaries.make("no hash");
        canaries.refused(passwords.verify_password(verify).await);
    }
    let mut hash = HashClient::new(client.clone());
    let digest = pb::DigestRequest { data: canaries.bytes("hashed"), ..Default::default() };
    hash.digest(digest).await?;
    let piece = pb::DigestStreamRequest {
        algorithms: vec![pb::DigestAlgorithm::Sha2256.into()],
        chunk: canaries.bytes("a file"),
        ..Default::default()
    };
    hash.digest_stream(stream::iter([piece])).await?;
    let mut encoding = EncodingClient::new(client.clone());
    let request = pb::EncodeRequest { data: canaries.bytes("encoded"), ..Default::default() };
    encoding.encode(request).await?;
    let request = pb::DecodeRequest { text: canaries.make("no Base64") + "%", ..Default::default() };
    canaries.refused(encoding.decode(request).await);
    Ok(())
}
