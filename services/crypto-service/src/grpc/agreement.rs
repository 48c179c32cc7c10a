//! `patchbay.crypto.v1.Agreement`: shared secrets, and encryption for whoever has a private key. What is computed stands in `data`.

use crate::{
    caller::Caller,
    core::Core,
    data::{self, EncapsulateFor, SealFor},
    error::Error,
};
use patchbay_proto::crypto::v1::{
    AgreeRequest, AgreeResponse, DecapsulateRequest, DecapsulateResponse, EncapsulateRequest,
    EncapsulateResponse, OpenHpkeRequest, OpenHpkeResponse, SealHpkeRequest, SealHpkeResponse,
    agreement_server::{self, AgreementServer},
    encapsulate_request, seal_hpke_request,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> AgreementServer<Agreement> {
    AgreementServer::new(Agreement { core })
}

/// The service.
pub(super) struct Agreement {
    core: Arc<Core>,
}

impl Agreement {
    /// Counts what was done with a public key that was given, as [`data::one`] counts what is done with a key.
    fn counted<T>(&self, done: Result<T, Error>) -> Result<Response<T>, Status> {
        self.core.metrics.operations.inc_by(u64::from(done.is_ok()));
        Ok(Response::new(done?))
    }
}

#[tonic::async_trait]
impl agreement_server::Agreement for Agreement {
    async fn agree(&self, request: Request<AgreeRequest>) -> Result<Response<AgreeResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(data::one(&self.core, &caller, request.into_inner()).await?))
    }

    async fn seal_hpke(
        &self,
        request: Request<SealHpkeRequest>,
    ) -> Result<Response<SealHpkeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        match request.recipient.take() {
            Some(seal_hpke_request::Recipient::Key(key)) => {
                Ok(Response::new(data::one(&self.core, &caller, SealFor { key, request }).await?))
            }
            Some(seal_hpke_request::Recipient::PublicKey(public_key)) => {
                self.counted(data::seal_for(&public_key, &request, self.core.config.limits.message.0))
            }
            None => Err(no_recipient().into()),
        }
    }

    async fn open_hpke(
        &self,
        request: Request<OpenHpkeRequest>,
    ) -> Result<Response<OpenHpkeResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(data::one(&self.core, &caller, request.into_inner()).await?))
    }

    async fn encapsulate(
        &self,
        request: Request<EncapsulateRequest>,
    ) -> Result<Response<EncapsulateResponse>, Status> {
        let caller = Caller::of(&request)?;
        let EncapsulateRequest { recipient, key_version } = request.into_inner();
        match recipient {
            Some(encapsulate_request::Recipient::Key(key)) => {
                let operation = EncapsulateFor { key, key_version };
                Ok(Response::new(data::one(&self.core, &caller, operation).await?))
            }
            Some(encapsulate_request::Recipient::PublicKey(public_key)) => {
                self.counted(data::encapsulate_for(&public_key, key_version))
            }
            None => Err(no_recipient().into()),
        }
    }

    async fn decapsulate(
        &self,
        request: Request<DecapsulateRequest>,
    ) -> Result<Response<DecapsulateResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(data::one(&self.core, &caller, request.into_inner()).await?))
    }
}

fn no_recipient() -> Error {
    Error::bad("recipient", "must be given: `key`, the name of a key, or `public_key`")
}
