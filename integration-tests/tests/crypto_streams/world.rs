//! A service with keys for streams.

use anyhow::Result;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
};
use patchbay_proto::crypto::v1::{
    self as pb, KeyType, keys_client::KeysClient, streams_client::StreamsClient,
};
use tempfile::TempDir;
use tonic::Status;
use tonic_types::StatusExt;

/// Bytes of a chunk before and after encryption, and of what stands before the chunks.
pub(crate) const CHUNK: usize = 16 * 1024;
pub(crate) const SEALED_CHUNK: usize = CHUNK + 16;
pub(crate) const HEADER: usize = 61;

/// Name of the key that most tests use.
pub(crate) const KEY: &str = "files";

pub(crate) struct World {
    pub(crate) installation: Installation,
    pub(crate) crypto: Crypto,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Result<Self> {
        let folder = TempDir::new()?;
        let installation = Installation::create(folder.path(), settings)?;
        let crypto = installation.start("crypto").await?;
        let this = Self { installation, crypto, folder };
        this.key(KEY, KeyType::Aes256GcmChunked).await?;
        Ok(this)
    }

    pub(crate) fn with(&self, scopes: &[&str]) -> Result<Client> {
        self.crypto.client(&self.installation.keys.token("backend", scopes)?)
    }

    pub(crate) fn streams(&self) -> Result<StreamsClient<Client>> {
        Ok(StreamsClient::new(self.with(&["admin"])?))
    }

    pub(crate) fn keys(&self) -> Result<KeysClient<Client>> {
        Ok(KeysClient::new(self.with(&["admin"])?))
    }

    pub(crate) async fn key(&self, name: &str, kind: KeyType) -> Result<()> {
        let request = pb::CreateKeyRequest {
            name: name.into(),
            r#type: kind.into(),
            exportable: true,
            ..Default::default()
        };
        self.keys()?.create_key(request).await?;
        Ok(())
    }

    /// Encrypts pieces with [`KEY`].
    pub(crate) async fn encrypt(&self, pieces: Vec<Bytes>, associated_data: &str) -> Result<Vec<u8>> {
        Ok(encrypt(self.streams()?, KEY, pieces, associated_data).await?)
    }
}

/// Encrypts pieces.
pub(crate) async fn encrypt(
    mut client: StreamsClient<Client>,
    key: &str,
    pieces: Vec<Bytes>,
    associated_data: &str,
) -> Result<Vec<u8>, Status> {
    let first = pb::EncryptStreamRequest {
        key: key.into(),
        associated_data: associated_data.to_owned().into(),
        ..Default::default()
    };
    let rest = pieces.into_iter().map(|chunk| pb::EncryptStreamRequest { chunk, ..Default::default() });
    let mut answers =
        client.encrypt_stream(stream::iter([first]).chain(stream::iter(rest))).await?.into_inner();
    let mut sealed = Vec::new();
    while let Some(answer) = answers.message().await? {
        sealed.extend_from_slice(&answer.chunk);
    }
    Ok(sealed)
}

/// What came out before the end, and how it ended.
pub(crate) struct Decrypted {
    pub(crate) plaintext: Vec<u8>,
    pub(crate) ended: Result<(), Status>,
}

/// Decrypts what comes.
pub(crate) async fn decrypt(
    client: StreamsClient<Client>,
    key: &str,
    associated_data: Bytes,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Decrypted {
    let first = pb::DecryptStreamRequest { key: key.into(), associated_data, ..Default::default() };
    decrypt_after(client, first, pieces).await
}

/// Decrypts with a first message of the caller.
pub(crate) async fn decrypt_after(
    mut client: StreamsClient<Client>,
    first: pb::DecryptStreamRequest,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Decrypted {
    let rest = pieces.map(|chunk| pb::DecryptStreamRequest { chunk, ..Default::default() });
    let mut plaintext = Vec::new();
    let answers = client.decrypt_stream(stream::iter([first]).chain(rest)).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Decrypted { plaintext, ended: Err(status) },
    };
    let ended = loop {
        match answers.message().await {
            Ok(Some(answer)) => plaintext.extend_from_slice(&answer.chunk),
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        }
    };
    Decrypted { plaintext, ended }
}

/// Bytes that do not repeat at a chunk's length.
pub(crate) fn message(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

pub(crate) fn pieces(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes.chunks(size).map(Bytes::copy_from_slice).collect()
}

pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
