//! `ChatAdmin` as a backend calls it.

use anyhow::Result;
use patchbay_proto::chat::v1::chat_admin_client::ChatAdminClient;
use std::{net::SocketAddr, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// A client that sends its token with every call.
pub type Admin = ChatAdminClient<InterceptedService<Channel, Bearer>>;

/// Puts a token on every call; none where there is none.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// Connects to a gateway's gRPC port.
pub async fn connect(address: SocketAddr, token: Option<&str>) -> Result<Admin> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.timeout(Duration::from_secs(10));
    let header = token.map(|token| format!("Bearer {token}").parse()).transpose()?;
    Ok(ChatAdminClient::with_interceptor(endpoint.connect().await?, Bearer(header)))
}

/// Returns the reason in a refusal's `ErrorInfo`.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
