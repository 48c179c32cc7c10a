//! `patchbay.crypto.v1.Tls`: what other servers speak and show, and certificates. What is found out stands in `patchbay-tls-probe`.

mod convert;

use crate::{caller::Caller, certificates, core::Core, error::Error};
use convert::{chain, report, start_tls_of};
use patchbay_proto::crypto::v1::{
    InspectCertificatesRequest, InspectCertificatesResponse, ListCertificatesRequest,
    ListCertificatesResponse, ProbeRequest, ProbeResponse,
    tls_server::{self, TlsServer},
};
use patchbay_tls_probe::{Target, TargetError, certificate::split, chain::judge};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Bytes of certificates that are looked at in one call.
const MAX_CERTIFICATES: usize = 64 * 1024;
/// Bytes of a name to check against (RFC 1035, section 2.3.4), and of an address in brackets.
const MAX_NAME: usize = 255;

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> TlsServer<Tls> {
    TlsServer::new(Tls { core })
}

/// The service.
pub(super) struct Tls {
    core: Arc<Core>,
}

#[tonic::async_trait]
impl tls_server::Tls for Tls {
    async fn probe(&self, request: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let target = target(&request)?;
        caller.require("tls", "probe", &target.host.to_string())?;
        let found = self.core.tls_probe.probe(&target).await?;
        Ok(Response::new(report(found)))
    }

    async fn inspect_certificates(
        &self,
        request: Request<InspectCertificatesRequest>,
    ) -> Result<Response<InspectCertificatesResponse>, Status> {
        let request = request.into_inner();
        if request.certificates.len() > MAX_CERTIFICATES {
            return Err(Error::bad("certificates", format!("may have {MAX_CERTIFICATES} bytes")).into());
        }
        if request.server_name.len() > MAX_NAME {
            return Err(Error::bad("server_name", format!("may have {MAX_NAME} bytes")).into());
        }
        let certificates = split(&request.certificates)
            .map_err(|error| Error::bad("certificates", format!("cannot be read: {error}")))?;
        let prober = &self.core.tls_probe;
        let judged = judge(&certificates, None, &request.server_name, prober.now(), prober.roots());
        Ok(Response::new(InspectCertificatesResponse { chain: Some(chain(judged)) }))
    }

    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        Caller::of(&request)?.require("tls", "read", "certificates")?;
        let certificates = certificates::list(&self.core).await?;
        Ok(Response::new(ListCertificatesResponse { certificates }))
    }
}

fn target(request: &ProbeRequest) -> Result<Target, Error> {
    let start_tls = start_tls_of(request.start_tls)?;
    Target::parse(&request.host, start_tls, Some(&request.server_name)).map_err(|error| {
        let field = if matches!(error, TargetError::ServerName(_)) { "server_name" } else { "host" };
        Error::bad(field, format!("cannot be used: {error}"))
    })
}
