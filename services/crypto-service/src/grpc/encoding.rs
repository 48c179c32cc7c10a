//! `patchbay.crypto.v1.Encoding`: bytes as text, both ways.

use crate::{core::Core, error::Error};
use patchbay_crypto::encoding::{self, Encoding};
use patchbay_proto::crypto::v1::{self as pb, encoding_server::EncodingServer};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> EncodingServer<Text> {
    EncodingServer::new(Text { core })
}

/// The service.
pub(super) struct Text {
    core: Arc<Core>,
}

#[tonic::async_trait]
impl pb::encoding_server::Encoding for Text {
    async fn encode(
        &self,
        request: Request<pb::EncodeRequest>,
    ) -> Result<Response<pb::EncodeResponse>, Status> {
        let request = request.into_inner();
        self.check("data", request.data.len())?;
        let text = encoding_of(request.encoding)?.encode(&request.data);
        Ok(Response::new(pb::EncodeResponse { text }))
    }

    async fn decode(
        &self,
        request: Request<pb::DecodeRequest>,
    ) -> Result<Response<pb::DecodeResponse>, Status> {
        let request = request.into_inner();
        let data =
            encoding_of(request.encoding)?.decode(&request.text).map_err(|error| refused("text", error))?;
        Ok(Response::new(pb::DecodeResponse { data: data.into() }))
    }

    async fn encode_query(
        &self,
        request: Request<pb::EncodeQueryRequest>,
    ) -> Result<Response<pb::EncodeQueryResponse>, Status> {
        let pairs = request.into_inner().pairs;
        self.check("pairs", pairs.iter().map(|pair| pair.name.len() + pair.value.len()).sum())?;
        let query = encoding::encode_query(pairs.iter().map(|pair| (&*pair.name, &*pair.value)));
        Ok(Response::new(pb::EncodeQueryResponse { query }))
    }

    async fn decode_query(
        &self,
        request: Request<pb::DecodeQueryRequest>,
    ) -> Result<Response<pb::DecodeQueryResponse>, Status> {
        let request = request.into_inner();
        self.check("query", request.query.len())?;
        let pairs = encoding::decode_query(&request.query).map_err(|error| refused("query", error))?;
        let pairs = pairs.into_iter().map(|(name, value)| pb::QueryPair { name, value }).collect();
        Ok(Response::new(pb::DecodeQueryResponse { pairs }))
    }
}

impl Text {
    /// Text may be three times as long as its bytes, and is bounded by the size of a request.
    fn check(&self, what: &'static str, length: usize) -> Result<(), Error> {
        let limit = self.core.config.limits.message.0;
        let fits = u64::try_from(length).is_ok_and(|length| length <= limit);
        fits.then_some(()).ok_or(Error::TooLarge { what, limit })
    }
}

fn encoding_of(value: i32) -> Result<Encoding, Error> {
    match pb::TextEncoding::try_from(value) {
        Ok(pb::TextEncoding::Unspecified | pb::TextEncoding::Base64) => Ok(Encoding::Base64),
        Ok(pb::TextEncoding::Base64url) => Ok(Encoding::Base64Url),
        Ok(pb::TextEncoding::Url) => Ok(Encoding::Url),
        Ok(pb::TextEncoding::Query) => Ok(Encoding::Query),
        Ok(pb::TextEncoding::Hex) => Ok(Encoding::Hex),
        Err(_) => Err(Error::bad("encoding", "is none that is known; see TextEncoding")),
    }
}

fn refused(field: &'static str, error: patchbay_crypto::Error) -> Error {
    match error {
        patchbay_crypto::Error::Input(problem) => Error::bad(field, format!("cannot be decoded: {problem}")),
        other => Error::internal(other),
    }
}
