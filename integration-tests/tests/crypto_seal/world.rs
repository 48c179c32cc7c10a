//! What these tests say to a replica.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    admin::reason,
    crypto::{Client, Crypto},
    gateway::Settings,
};
use patchbay_proto::crypto::v1::{
    self as pb, GetSealStatusRequest, GetSealStatusResponse, UnsealRequest, admin_client::AdminClient,
    data_client::DataClient, decrypt_result::Outcome, keys_client::KeysClient, seal_client::SealClient,
    tokens_client::TokensClient,
};
use patchbay_testkit::wait::wait_until;
use std::time::Duration;
use tonic::{Code, Status, codegen::Bytes, transport::Channel};

/// Old root keys go soon after a rotation, and changes are seen soon without events.
pub(crate) fn settings() -> Settings {
    Settings::default()
        .set("root_key.retire_after", "1s")
        .set("keys.poll", "300ms")
        .set("passwords.argon2_memory", "64KiB")
        .set("passwords.argon2_passes", "1")
}

/// Clients of one replica, with a token that allows everything.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) keys: KeysClient<Client>,
    pub(crate) data: DataClient<Client>,
    pub(crate) admin: AdminClient<Client>,
    pub(crate) seal: SealClient<Client>,
    pub(crate) tokens: TokensClient<Channel>,
}

/// What was encrypted, and with what.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) key: String,
    pub(crate) ciphertext: Bytes,
}

/// Items of one call.
const BATCH: usize = 500;

impl Clients {
    pub(crate) fn connect(replica: &Crypto, token: &str) -> Result<Self> {
        let client = replica.client(token)?;
        Ok(Self {
            keys: KeysClient::new(client.clone()),
            data: DataClient::new(client.clone()),
            admin: AdminClient::new(client.clone()),
            seal: SealClient::new(client),
            tokens: TokensClient::new(replica.stranger()?),
        })
    }

    pub(crate) async fn status(&self) -> Result<GetSealStatusResponse> {
        Ok(self.seal.clone().get_seal_status(GetSealStatusRequest {}).await?.into_inner())
    }

    pub(crate) async fn create(&self, key: &str) -> Result<(), Status> {
        let request = pb::CreateKeyRequest { name: key.into(), ..Default::default() };
        self.keys.clone().create_key(request).await.map(drop)
    }

    pub(crate) async fn rotate(&self, key: &str) -> Result<(), Status> {
        self.keys.clone().rotate_key(pb::RotateKeyRequest { name: key.into() }).await.map(drop)
    }

    /// Encrypts the key's own name.
    pub(crate) async fn encrypt(&self, key: &str) -> Result<Sealed, Status> {
        let request =
            pb::EncryptRequest { key: key.into(), plaintext: key.to_owned().into(), ..Default::default() };
        let made = self.data.clone().encrypt(request).await?.into_inner();
        Ok(Sealed { key: key.to_owned(), ciphertext: made.ciphertext })
    }

    /// Fails unless all of them decrypt to what they were.
    pub(crate) async fn decrypt_all(&self, sealed: &[Sealed]) -> Result<()> {
        for batch in sealed.chunks(BATCH) {
            let item = |sealed: &Sealed| pb::DecryptRequest {
                key: sealed.key.clone(),
                ciphertext: sealed.ciphertext.clone(),
                ..Default::default()
            };
            let request = pb::DecryptBatchRequest { items: batch.iter().map(item).collect() };
            let results = self.data.clone().decrypt_batch(request).await?.into_inner().results;
            ensure!(results.len() == batch.len());
            for (sealed, result) in batch.iter().zip(results) {
                let Some(Outcome::Ok(opened)) = result.outcome else {
                    anyhow::bail!("a ciphertext of {} is lost: {:?}", sealed.key, result.outcome)
                };
                ensure!(opened.plaintext == sealed.key);
            }
        }
        Ok(())
    }

    pub(crate) async fn audit_is_whole(&self) -> Result<()> {
        let request = pb::VerifyAuditRequest {};
        for chain in self.admin.clone().verify_audit(request).await?.into_inner().chains {
            ensure!(chain.is_whole, "the chain of {} is broken at {}", chain.node, chain.broken_at);
        }
        Ok(())
    }

    /// How often an operation was done.
    pub(crate) async fn recorded(&self, operation: &str) -> Result<usize> {
        let request = pb::ListAuditRequest {
            page_size: 1000,
            operation_prefix: operation.into(),
            ..Default::default()
        };
        let records = self.admin.clone().list_audit(request).await?.into_inner().records;
        Ok(records.iter().filter(|record| record.outcome == "ok").count())
    }

    /// Waits until nothing is wrapped by an older key and these are gone.
    pub(crate) async fn swept(&self, within: Duration) -> Result<Duration> {
        let rotations = self.recorded("root.rotate").await?;
        wait_until("everything is wrapped anew and older keys are gone", within, async || {
            let left = self.status().await.map_or(1, |status| status.rows_to_rewrap);
            left == 0 && self.last_root_record().await.is_ok_and(|last| last == "root.retire")
        })
        .await
        .with_context(|| format!("{rotations} rotations"))
    }

    async fn last_root_record(&self) -> Result<String> {
        let request =
            pb::ListAuditRequest { page_size: 1, operation_prefix: "root.".into(), ..Default::default() };
        let records = self.admin.clone().list_audit(request).await?.into_inner().records;
        Ok(records.into_iter().next().context("there is a record")?.operation)
    }

    pub(crate) async fn bring(&self, share: &str) -> Result<GetSealStatusResponse, Status> {
        let request = UnsealRequest { share: share.into(), reset: false };
        Ok(self.seal.clone().unseal(request).await?.into_inner().status.unwrap_or_default())
    }

    pub(crate) async fn initialize(&self) -> Result<Vec<String>, Status> {
        let request = pb::InitializeSealRequest { shares: 5, threshold: 3 };
        Ok(self.seal.clone().initialize_seal(request).await?.into_inner().shares)
    }
}

/// Whether a refusal has this reason.
pub(crate) fn is<T>(answer: &Result<T, Status>, wanted: &str) -> bool {
    answer.as_ref().is_err_and(|status| reason(status) == wanted)
}

/// Whether a call was cut off by the death of its replica.
pub(crate) fn is_cut_off(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
        && reason(status).is_empty()
}
