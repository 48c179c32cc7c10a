//! `patchbay.crypto.v1.Hash`: digests without a key.

use super::{item_error, pieces::next};
use crate::{core::Core, error::Error};
use patchbay_crypto::digest::{Algorithm, Context};
use patchbay_proto::crypto::v1::{self as pb, hash_server::HashServer};
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// Bytes that are hashed before others have their turn on the thread.
const TURN: usize = 128 * 1024;

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> HashServer<Hash> {
    HashServer::new(Hash { core })
}

/// The service.
pub(super) struct Hash {
    core: Arc<Core>,
}

#[tonic::async_trait]
impl pb::hash_server::Hash for Hash {
    async fn digest(
        &self,
        request: Request<pb::DigestRequest>,
    ) -> Result<Response<pb::DigestResponse>, Status> {
        Ok(Response::new(self.one(&request.into_inner()).await?))
    }

    async fn digest_batch(
        &self,
        request: Request<pb::DigestBatchRequest>,
    ) -> Result<Response<pb::DigestBatchResponse>, Status> {
        let items = request.into_inner().items;
        let limit = self.core.config.limits.batch;
        if items.len() > limit {
            return Err(Error::bad("items", format!("may have {limit} items")).into());
        }
        let mut results = Vec::with_capacity(items.len());
        for item in &items {
            let outcome = match self.one(item).await {
                Ok(response) => pb::digest_result::Outcome::Ok(response),
                Err(error) => pb::digest_result::Outcome::Error(item_error(&self.core, &error)),
            };
            results.push(pb::DigestResult { outcome: Some(outcome) });
        }
        Ok(Response::new(pb::DigestBatchResponse { results }))
    }

    async fn digest_stream(
        &self,
        request: Request<Streaming<pb::DigestStreamRequest>>,
    ) -> Result<Response<pb::DigestStreamResponse>, Status> {
        let mut pieces = request.into_inner();
        let patience = self.core.config.limits.patience();
        let first = next(&mut pieces, patience).await?;
        let first = first.ok_or_else(|| Error::bad("algorithms", "must be named in the first message"))?;
        let mut contexts = begin(&first)?;
        let mut size = hash(&mut contexts, &first.chunk).await;
        while let Some(piece) = next(&mut pieces, patience).await? {
            if !piece.algorithms.is_empty() {
                return Err(Error::bad("algorithms", "must be named in the first message alone").into());
            }
            size += hash(&mut contexts, &piece.chunk).await;
        }
        let digests = contexts.into_iter().map(response).collect();
        Ok(Response::new(pb::DigestStreamResponse { digests, size }))
    }
}

impl Hash {
    async fn one(&self, request: &pb::DigestRequest) -> Result<pb::DigestResponse, Error> {
        let mut contexts = [context(request.algorithm, request.allow_unsafe)?];
        let limit = self.core.config.limits.message.0;
        if u64::try_from(request.data.len()).is_ok_and(|length| length > limit) {
            return Err(Error::TooLarge { what: "data", limit });
        }
        hash(&mut contexts, &request.data).await;
        let [context] = contexts;
        Ok(response(context))
    }
}

/// One context for each algorithm; the same one twice would be no more than waste.
fn begin(first: &pb::DigestStreamRequest) -> Result<Vec<Context>, Error> {
    let most = Algorithm::ALL.len();
    if !(1..=most).contains(&first.algorithms.len()) {
        return Err(Error::bad("algorithms", format!("must name from 1 to {most} in the first message")));
    }
    first.algorithms.iter().map(|algorithm| context(*algorithm, first.allow_unsafe)).collect()
}

fn context(algorithm: i32, allow_unsafe: bool) -> Result<Context, Error> {
    let algorithm = algorithm_of(algorithm)?;
    if algorithm.is_unsafe() && !allow_unsafe {
        return Err(Error::UnsafeAlgorithm(algorithm.name()));
    }
    Ok(Context::new(algorithm))
}

/// Hashes a piece with all of them, and tells its size.
async fn hash(contexts: &mut [Context], piece: &[u8]) -> u64 {
    for part in piece.chunks(TURN) {
        for context in &mut *contexts {
            context.update(part);
            if part.len() == TURN {
                tokio::task::yield_now().await;
            }
        }
    }
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

fn response(context: Context) -> pb::DigestResponse {
    let is_unsafe = context.algorithm().is_unsafe();
    let digest = context.finish();
    pb::DigestResponse { hex: hex::encode(&digest), digest: digest.into(), is_unsafe }
}

/// The algorithm of a request.
pub(crate) fn algorithm_of(value: i32) -> Result<Algorithm, Error> {
    match pb::DigestAlgorithm::try_from(value) {
        Ok(pb::DigestAlgorithm::Md5) => Ok(Algorithm::Md5),
        Ok(pb::DigestAlgorithm::Sha1) => Ok(Algorithm::Sha1),
        Ok(pb::DigestAlgorithm::Sha2224) => Ok(Algorithm::Sha224),
        Ok(pb::DigestAlgorithm::Unspecified | pb::DigestAlgorithm::Sha2256) => Ok(Algorithm::Sha256),
        Ok(pb::DigestAlgorithm::Sha2384) => Ok(Algorithm::Sha384),
        Ok(pb::DigestAlgorithm::Sha2512) => Ok(Algorithm::Sha512),
        Ok(pb::DigestAlgorithm::Sha3224) => Ok(Algorithm::Sha3_224),
        Ok(pb::DigestAlgorithm::Sha3256) => Ok(Algorithm::Sha3_256),
        Ok(pb::DigestAlgorithm::Sha3384) => Ok(Algorithm::Sha3_384),
        Ok(pb::DigestAlgorithm::Sha3512) => Ok(Algorithm::Sha3_512),
        Ok(pb::DigestAlgorithm::Blake2b512) => Ok(Algorithm::Blake2b512),
        Ok(pb::DigestAlgorithm::Blake2s256) => Ok(Algorithm::Blake2s256),
        Err(_) => Err(Error::bad("algorithm", "is none that is known; see DigestAlgorithm")),
    }
}
