//! `patchbay.crypto.v1.Data`: the use of keys.

use super::item_error;
use crate::{caller::Caller, core::Core, data, error::Error};
use bytes::Bytes;
use patchbay_proto::crypto::v1::{self as pb, data_server::DataServer};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Bytes of one wish for randomness at most.
const MAX_RANDOM: u32 = 65_536;

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> DataServer<Data> {
    DataServer::new(Data { core })
}

/// The service.
pub(super) struct Data {
    core: Arc<Core>,
}

/// Every operation as an rpc, and as an rpc of several.
macro_rules! operations {
    ($($one:ident, $many:ident, $request:ident, $response:ident, $requests:ident, $responses:ident, $result:ident, $outcome:ident;)+) => {
        #[tonic::async_trait]
        impl pb::data_server::Data for Data {
            $(
                async fn $one(&self, request: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                    let caller = Caller::of(&request)?;
                    Ok(Response::new(data::one(&self.core, &caller, request.into_inner()).await?))
                }

                async fn $many(&self, request: Request<pb::$requests>) -> Result<Response<pb::$responses>, Status> {
                    let caller = Caller::of(&request)?;
                    let answers = data::many(&self.core, &caller, request.into_inner().items).await?;
                    let results = answers.into_iter().map(|answer| pb::$result {
                        outcome: Some(match answer {
                            Ok(response) => pb::$outcome::Outcome::Ok(response),
                            Err(error) => pb::$outcome::Outcome::Error(item_error(&self.core, &error)),
                        }),
                    });
                    Ok(Response::new(pb::$responses { results: results.collect() }))
                }
            )+

            async fn random(&self, request: Request<pb::RandomRequest>) -> Result<Response<pb::RandomResponse>, Status> {
                Ok(Response::new(random(request.into_inner())?))
            }

            async fn random_batch(
                &self,
                request: Request<pb::RandomBatchRequest>,
            ) -> Result<Response<pb::RandomBatchResponse>, Status> {
                Ok(Response::new(self.randoms(&request.into_inner().items)?))
            }
        }
    };
}

operations! {
    encrypt, encrypt_batch, EncryptRequest, EncryptResponse,
        EncryptBatchRequest, EncryptBatchResponse, EncryptResult, encrypt_result;
    decrypt, decrypt_batch, DecryptRequest, DecryptResponse,
        DecryptBatchRequest, DecryptBatchResponse, DecryptResult, decrypt_result;
    rewrap, rewrap_batch, RewrapRequest, RewrapResponse,
        RewrapBatchRequest, RewrapBatchResponse, RewrapResult, rewrap_result;
    generate_data_key, generate_data_key_batch, GenerateDataKeyRequest, GenerateDataKeyResponse,
        GenerateDataKeyBatchRequest, GenerateDataKeyBatchResponse, GenerateDataKeyResult, generate_data_key_result;
    sign, sign_batch, SignRequest, SignResponse,
        SignBatchRequest, SignBatchResponse, SignResult, sign_result;
    verify, verify_batch, VerifyRequest, VerifyResponse,
        VerifyBatchRequest, VerifyBatchResponse, VerifyResult, verify_result;
    hmac, hmac_batch, HmacRequest, HmacResponse,
        HmacBatchRequest, HmacBatchResponse, HmacResult, hmac_result;
    verify_hmac, verify_hmac_batch, VerifyHmacRequest, VerifyHmacResponse,
        VerifyHmacBatchRequest, VerifyHmacBatchResponse, VerifyHmacResult, verify_hmac_result;
    seal_envelope, seal_envelope_batch, SealEnvelopeRequest, SealEnvelopeResponse,
        SealEnvelopeBatchRequest, SealEnvelopeBatchResponse, SealEnvelopeResult, seal_envelope_result;
    open_envelope, open_envelope_batch, OpenEnvelopeRequest, OpenEnvelopeResponse,
        OpenEnvelopeBatchRequest, OpenEnvelopeBatchResponse, OpenEnvelopeResult, open_envelope_result;
}

impl Data {
    fn randoms(&self, items: &[pb::RandomRequest]) -> Result<pb::RandomBatchResponse, Error> {
        let limit = self.core.config.limits.batch;
        let bytes: u64 = items.iter().map(|item| u64::from(item.size)).sum();
        if items.len() > limit || bytes > self.core.config.limits.message.0 {
            return Err(Error::bad(
                "items",
                format!("may have {limit} items and together ask for limits.message"),
            ));
        }
        let results = items.iter().map(|item| pb::RandomResult {
            outcome: Some(match random(*item) {
                Ok(response) => pb::random_result::Outcome::Ok(response),
                Err(error) => pb::random_result::Outcome::Error(item_error(&self.core, &error)),
            }),
        });
        Ok(pb::RandomBatchResponse { results: results.collect() })
    }
}

fn random(request: pb::RandomRequest) -> Result<pb::RandomResponse, Error> {
    if !(1..=MAX_RANDOM).contains(&request.size) {
        return Err(Error::bad("size", format!("must be from 1 to {MAX_RANDOM}")));
    }
    let mut data = vec![0; request.size as usize];
    aws_lc_rs::rand::fill(&mut data).map_err(Error::internal)?;
    Ok(pb::RandomResponse { data: Bytes::from(data) })
}
