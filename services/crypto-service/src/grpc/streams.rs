//! `patchbay.crypto.v1.Streams`: messages of any size.

use super::pieces::next;
use crate::{
    caller::Caller,
    core::Core,
    error::Error,
    metrics::CryptoMetrics,
    streams::{self, Decrypting, Encrypting, Header, Lock, Opened, Range, Step},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use patchbay_proto::crypto::v1::{self as pb, streams_server::StreamsServer};
use std::{pin::Pin, sync::Arc};
use tonic::{Request, Response, Status, Streaming};

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> StreamsServer<Streams> {
    StreamsServer::new(Streams { core })
}

/// The service.
pub(super) struct Streams {
    core: Arc<Core>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl pb::streams_server::Streams for Streams {
    type EncryptStreamStream = Answers<pb::EncryptStreamResponse>;

    async fn encrypt_stream(
        &self,
        request: Request<Streaming<pb::EncryptStreamRequest>>,
    ) -> Result<Response<Self::EncryptStreamStream>, Status> {
        let caller = Caller::of(&request)?;
        let mut pieces = request.into_inner();
        let patience = self.core.config.limits.patience();
        let first = next(&mut pieces, patience).await?.ok_or_else(no_key)?;
        let key = (&*first.key, first.key_version);
        let opened = streams::begin(&self.core, &caller, "encrypt", key, &first.associated_data).await?;
        let version = opened.header.version;
        let message = Encrypting::new(opened, pieces, patience, first.chunk);
        let metrics = self.core.metrics.clone();
        let run = move |message: Encrypting<_>| message.step();
        Ok(Response::new(answers(metrics, message, version, run, |chunk, key_version| {
            pb::EncryptStreamResponse { chunk, key_version }
        })))
    }

    type DecryptStreamStream = Answers<pb::DecryptStreamResponse>;

    async fn decrypt_stream(
        &self,
        request: Request<Streaming<pb::DecryptStreamRequest>>,
    ) -> Result<Response<Self::DecryptStreamStream>, Status> {
        let caller = Caller::of(&request)?;
        let mut pieces = request.into_inner();
        let first = next(&mut pieces, self.core.config.limits.patience()).await?.ok_or_else(no_key)?;
        let range = first.range.map_or(Range::ALL, |range| Range::new(range.offset, range.length));
        let lock = Lock { key: &first.key, associated_data: &first.associated_data, range };
        let message = Decrypting::begin(&self.core, &caller, lock, pieces, first.chunk.clone()).await?;
        let version = message.version();
        let metrics = self.core.metrics.clone();
        let run = move |message: Decrypting<_>| message.step();
        Ok(Response::new(answers(metrics, message, version, run, |chunk, key_version| {
            pb::DecryptStreamResponse { chunk, key_version }
        })))
    }

    async fn generate_stream_key(
        &self,
        request: Request<pb::GenerateStreamKeyRequest>,
    ) -> Result<Response<pb::GenerateStreamKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let key = (&*asked.key, asked.key_version);
        let opened = streams::begin(&self.core, &caller, "datakey", key, &asked.associated_data).await?;
        let header = opened.header.to_bytes().into();
        let (message_key, base_nonce, key_version) = self.given_out(opened);
        Ok(Response::new(pb::GenerateStreamKeyResponse { header, message_key, base_nonce, key_version }))
    }

    async fn open_stream_key(
        &self,
        request: Request<pb::OpenStreamKeyRequest>,
    ) -> Result<Response<pb::OpenStreamKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        caller.require_key("decrypt", &asked.key)?;
        let header = Header::parse(&asked.header)?;
        let opened = streams::open(&self.core, &caller, &asked.key, header, &asked.associated_data).await?;
        let (message_key, base_nonce, key_version) = self.given_out(opened);
        Ok(Response::new(pb::OpenStreamKeyResponse { message_key, base_nonce, key_version }))
    }
}

impl Streams {
    /// What leaves the service cannot be overwritten here any more.
    fn given_out(&self, opened: Opened) -> (Bytes, Bytes, u32) {
        self.core.metrics.operations.inc();
        let (key, base) = opened.key.into_parts();
        (key.into_bytes().into(), Bytes::copy_from_slice(&base), opened.header.version)
    }
}

fn no_key() -> Status {
    Error::bad("key", "must be named in the first message").into()
}

/// What has been answered so far.
enum Progress<M> {
    /// Nothing; the version is told first.
    Begun(M, u32),
    /// Some of it.
    Going(M),
    /// All of it.
    Over,
}

/// The answers of a message, each made when the one before has been taken. They hold the key of their message and no other: whoever does not read must not keep the
/// keys of the service in memory when its seal is closed.
fn answers<M, F, T>(
    metrics: CryptoMetrics,
    message: M,
    version: u32,
    step: impl Fn(M) -> F + Send + Sync + 'static,
    answer: impl Fn(Bytes, u32) -> T + Send + Sync + 'static,
) -> Answers<T>
where
    M: Send + 'static,
    F: Future<Output = Result<Step<M>, Status>> + Send + 'static,
    T: Send + 'static,
{
    let tools = Arc::new((metrics, step, answer));
    Box::pin(stream::try_unfold(Progress::Begun(message, version), move |progress| {
        let tools = Arc::clone(&tools);
        async move {
            let (metrics, step, answer) = &*tools;
            let (message, version) = match progress {
                Progress::Begun(message, version) => (message, version),
                Progress::Going(message) => (message, 0),
                Progress::Over => return Ok(None),
            };
            let (chunk, progress) =
                match step(message).await.inspect_err(|status| metrics.refused_with(status))? {
                    Step::More(chunk, message) => (chunk, Progress::Going(message)),
                    Step::Last(chunk) => {
                        metrics.operations.inc();
                        (chunk, Progress::Over)
                    }
                };
            metrics.streamed_bytes.inc_by(chunk.len() as u64);
            Ok(Some((answer(chunk.into(), version), progress)))
        }
    }))
}
