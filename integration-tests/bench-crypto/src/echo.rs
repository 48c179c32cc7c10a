//! `bench-echo`: a service on the same chassis that gives back what it gets, in a call and in a stream, behind the same authentication.
//! What a call costs there is what it costs before any cryptography.

use futures_util::{Stream, StreamExt};
use patchbay_auth::Requirement;
use patchbay_chassis::{
    Context, GrpcServices, MethodScopes, Problems, Running, Service, ServiceConfig, StartError,
};
use patchbay_proto::crypto::v1::{
    DecryptStreamRequest, DecryptStreamResponse, DigestBatchRequest, DigestBatchResponse, DigestRequest,
    DigestResponse, DigestStreamRequest, DigestStreamResponse, EncryptStreamRequest, EncryptStreamResponse,
    GenerateStreamKeyRequest, GenerateStreamKeyResponse, OpenStreamKeyRequest, OpenStreamKeyResponse,
    hash_server::{Hash, HashServer},
    streams_server::{Streams, StreamsServer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{pin::Pin, process::ExitCode};
use tonic::{Request, Response, Status, Streaming};

fn main() -> ExitCode {
    patchbay_chassis::main::<Echo>()
}

struct Echo;

/// Nothing to configure.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {}

impl ServiceConfig for Config {
    fn validate(&self, _: &mut Problems) {}
}

impl Service for Echo {
    const NAME: &'static str = "echo";
    const GRPC_PORT: u16 = 9191;
    const OPS_PORT: u16 = 9291;
    type Config = Config;

    async fn start(_: Config, _: Context) -> Result<Running, StartError> {
        let scope = Requirement::AnyScope(&[("keys", "encrypt"), ("keys", "use")]);
        let grpc = GrpcServices {
            routes: tonic::service::Routes::new(HashServer::new(Self)).add_service(StreamsServer::new(Self)),
            methods: MethodScopes::new("echo.patchbay")
                .method("/patchbay.crypto.v1.Hash/Digest", scope)
                .method("/patchbay.crypto.v1.Streams/EncryptStream", scope),
            descriptors: patchbay_proto::DESCRIPTOR_SET,
        };
        Ok(Running { grpc: Some(grpc), ..Running::default() })
    }
}

#[tonic::async_trait]
impl Hash for Echo {
    async fn digest(&self, request: Request<DigestRequest>) -> Result<Response<DigestResponse>, Status> {
        let digest = request.into_inner().data;
        Ok(Response::new(DigestResponse { digest, ..DigestResponse::default() }))
    }

    async fn digest_batch(
        &self,
        _: Request<DigestBatchRequest>,
    ) -> Result<Response<DigestBatchResponse>, Status> {
        Err(Status::unimplemented("an echo only"))
    }

    async fn digest_stream(
        &self,
        _: Request<Streaming<DigestStreamRequest>>,
    ) -> Result<Response<DigestStreamResponse>, Status> {
        Err(Status::unimplemented("an echo only"))
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Streams for Echo {
    type EncryptStreamStream = Answers<EncryptStreamResponse>;

    async fn encrypt_stream(
        &self,
        request: Request<Streaming<EncryptStreamRequest>>,
    ) -> Result<Response<Self::EncryptStreamStream>, Status> {
        let echo = |piece: Result<EncryptStreamRequest, Status>| {
            piece.map(|piece| EncryptStreamResponse { chunk: piece.chunk, key_version: 0 })
        };
        Ok(Response::new(Box::pin(request.into_inner().map(echo))))
    }

    type DecryptStreamStream = Answers<DecryptStreamResponse>;

    async fn decrypt_stream(
        &self,
        _: Request<Streaming<DecryptStreamRequest>>,
    ) -> Result<Response<Self::DecryptStreamStream>, Status> {
        Err(Status::unimplemented("an echo only"))
    }

    async fn generate_stream_key(
        &self,
        _: Request<GenerateStreamKeyRequest>,
    ) -> Result<Response<GenerateStreamKeyResponse>, Status> {
        Err(Status::unimplemented("an echo only"))
    }

    async fn open_stream_key(
        &self,
        _: Request<OpenStreamKeyRequest>,
    ) -> Result<Response<OpenStreamKeyResponse>, Status> {
        Err(Status::unimplemented("an echo only"))
    }
}
