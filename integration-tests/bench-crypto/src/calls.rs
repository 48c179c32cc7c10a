//! Calls to the servers, and the CPU time that they cost there.

use crate::{
    report::{Report, Subject},
    server::{Client, Installation, Server},
};
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use patchbay_proto::crypto::v1 as pb;
use pb::{
    data_client::DataClient, hash_client::HashClient, keys_client::KeysClient,
    passwords_client::PasswordsClient,
};

/// Bytes of a message.
const MESSAGE: usize = 1024;

/// Calls in flight, and connections that they are divided among.
const IN_FLIGHT: usize = 32;
const CONNECTIONS: usize = 4;

/// Items of a batch of quick operations, and of slow ones.
const QUICK_BATCH: usize = 500;
const SLOW_BATCH: usize = 100;

/// RSA keys that are measured.
pub(crate) const RSA_BITS: [u32; 2] = [2048, 3072];

/// Servers and what is asked of them.
pub(crate) struct Subjects {
    crypto: Server,
    echo: Server,
    to_crypto: Vec<Client>,
    to_echo: Vec<Client>,
    percent: u32,
    /// A ciphertext for each of [`RSA_BITS`].
    ciphertexts: Vec<Bytes>,
}

impl Subjects {
    /// Makes the keys, and warms everything up.
    pub(crate) async fn prepare(
        installation: &Installation,
        crypto: Server,
        echo: Server,
        percent: u32,
    ) -> Result<Self> {
        let connect = |server: &Server| -> Result<Vec<Client>> {
            (0..CONNECTIONS).map(|_| installation.connect(server)).collect()
        };
        let (to_crypto, to_echo) = (connect(&crypto)?, connect(&echo)?);
        let first = to_crypto.first().context("no connection")?.clone();
        create(&first, "aes", pb::KeyType::Aes256Gcm96).await?;
        let mut ciphertexts = Vec::new();
        for (bits, kind) in RSA_BITS.into_iter().zip([pb::KeyType::Rsa2048, pb::KeyType::Rsa3072]) {
            create(&first, &rsa(bits), kind).await?;
            let plaintext = Bytes::from_static(&[7; 32]);
            let request = pb::EncryptRequest { key: rsa(bits), plaintext, ..Default::default() };
            ciphertexts.push(DataClient::new(first.clone()).encrypt(request).await?.into_inner().ciphertext);
        }
        let subjects = Self { crypto, echo, to_crypto, to_echo, percent, ciphertexts };
        subjects.measure(&mut Report::default()).await?;
        Ok(subjects)
    }

    /// crypto-service and the echo.
    pub(crate) fn servers(&self) -> (&Server, &Server) {
        (&self.crypto, &self.echo)
    }

    /// One round.
    pub(crate) async fn measure(&self, report: &mut Report) -> Result<()> {
        self.measure_quick(report).await?;
        for (bits, ciphertext) in RSA_BITS.into_iter().zip(&self.ciphertexts) {
            self.measure_rsa(report, bits, ciphertext).await?;
        }
        self.measure_passwords(report).await
    }

    async fn measure_quick(&self, report: &mut Report) -> Result<()> {
        let message = Bytes::from(vec![42; MESSAGE]);
        let echo = pb::DigestRequest { data: message.clone(), ..Default::default() };
        let used = self
            .cpu_of(&self.echo, &self.to_echo, 20_000, |client| {
                let request = echo.clone();
                async move { HashClient::new(client).digest(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::Echo, used);
        let encrypt =
            pb::EncryptRequest { key: "aes".to_owned(), plaintext: message, ..pb::EncryptRequest::default() };
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, 20_000, |client| {
                let request = encrypt.clone();
                async move { DataClient::new(client).encrypt(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::Encrypt, used);
        let batch = pb::EncryptBatchRequest { items: vec![encrypt; QUICK_BATCH] };
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, 400, |client| {
                let request = batch.clone();
                async move {
                    let client = DataClient::new(client).max_decoding_message_size(64 << 20);
                    whole(client, request).await
                }
            })
            .await?;
        report.add(Subject::EncryptBatch, per_item(used, QUICK_BATCH));
        Ok(())
    }

    async fn measure_rsa(&self, report: &mut Report, bits: u32, ciphertext: &Bytes) -> Result<()> {
        let decrypt =
            pb::DecryptRequest { key: rsa(bits), ciphertext: ciphertext.clone(), ..Default::default() };
        let sign = pb::SignRequest {
            key: rsa(bits),
            message: Bytes::from_static(&[9; 32]),
            salt_length: pb::SaltLength::Digest.into(),
            ..Default::default()
        };
        let calls = 2_000_000 / bits;
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, calls, |client| {
                let request = decrypt.clone();
                async move { DataClient::new(client).decrypt(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::Decrypt(bits), used);
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, calls, |client| {
                let request = sign.clone();
                async move { DataClient::new(client).sign(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::Sign(bits), used);
        let batches = calls / 50;
        let decrypt = pb::DecryptBatchRequest { items: vec![decrypt; SLOW_BATCH] };
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, batches, |client| {
                let request = decrypt.clone();
                async move { DataClient::new(client).decrypt_batch(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::DecryptBatch(bits), per_item(used, SLOW_BATCH));
        let sign = pb::SignBatchRequest { items: vec![sign; SLOW_BATCH] };
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, batches, |client| {
                let request = sign.clone();
                async move { DataClient::new(client).sign_batch(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::SignBatch(bits), per_item(used, SLOW_BATCH));
        Ok(())
    }

    async fn measure_passwords(&self, report: &mut Report) -> Result<()> {
        let request = pb::HashPasswordRequest {
            password: "correct horse battery staple".to_owned(),
            ..Default::default()
        };
        let used = self
            .cpu_of(&self.crypto, &self.to_crypto, 60, |client| {
                let request = request.clone();
                async move { PasswordsClient::new(client).hash_password(request).await.map(drop) }
            })
            .await?;
        report.add(Subject::Argon2, used);
        Ok(())
    }

    /// CPU seconds that a call costs the server. A call that fails fails the run.
    async fn cpu_of<F: Future<Output = Result<(), tonic::Status>>>(
        &self,
        server: &Server,
        clients: &[Client],
        calls: u32,
        call: impl Fn(Client) -> F,
    ) -> Result<f64> {
        let calls = (calls * self.percent / 100).max(4);
        let before = server.cpu()?;
        let all =
            stream::iter(clients.iter().cycle().take(calls as usize).map(|client| call(client.clone())));
        let mut answers = all.buffer_unordered(IN_FLIGHT);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok((server.cpu()? - before) / f64::from(calls))
    }
}

/// A batch with an item that failed would be quick for the wrong reason.
async fn whole(
    mut client: DataClient<Client>,
    request: pb::EncryptBatchRequest,
) -> Result<(), tonic::Status> {
    let results = client.encrypt_batch(request).await?.into_inner().results;
    let is_ok =
        |result: &pb::EncryptResult| matches!(result.outcome, Some(pb::encrypt_result::Outcome::Ok(_)));
    if results.len() == QUICK_BATCH && results.iter().all(is_ok) {
        return Ok(());
    }
    Err(tonic::Status::internal("an item failed"))
}

pub(crate) async fn create(client: &Client, name: &str, kind: pb::KeyType) -> Result<()> {
    let request = pb::CreateKeyRequest { name: name.to_owned(), r#type: kind.into(), ..Default::default() };
    let made = KeysClient::new(client.clone()).create_key(request).await?.into_inner();
    if made.key.is_none() {
        bail!("no key was made");
    }
    Ok(())
}

fn rsa(bits: u32) -> String {
    format!("rsa-{bits}")
}

fn per_item(seconds: f64, items: usize) -> f64 {
    seconds / f64::from(u32::try_from(items).unwrap_or(u32::MAX))
}
