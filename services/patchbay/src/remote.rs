//! Calls to a running crypto-service, signed as the operator of this machine.

use crate::{cli::DATA, keys, token};
use anyhow::Context;
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// Time for crypto-service to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for an answer: a password takes a while to hash, and others may wait before it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Where crypto-service is, and as whom to call it.
#[derive(Args)]
pub(crate) struct Remote {
    /// gRPC port of crypto-service.
    #[arg(long, default_value = "http://127.0.0.1:9107")]
    url: String,
    /// Data folder whose key signs the calls.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// Key file that signs, instead of the data folder's.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key: Option<PathBuf>,
}

/// A connection whose calls carry the operator's token.
pub(crate) type Connection = InterceptedService<Channel, Bearer>;

impl Remote {
    /// Connects.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let signer = keys::issuer(self.key.as_deref(), &self.data)?;
        let bearer = Bearer::new(&token::for_operator(&signer)?)?;
        let endpoint = Endpoint::from_shared(self.url.clone())
            .with_context(|| format!("`{}` is no address", self.url))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        let channel = endpoint.connect().await;
        let channel = channel.with_context(|| format!("crypto-service does not answer at {}", self.url))?;
        Ok(InterceptedService::new(channel, bearer))
    }
}

/// Puts a token on every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    fn new(token: &str) -> anyhow::Result<Self> {
        let mut header: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Says what crypto-service has refused, with the reason that its documentation names.
pub(crate) fn refused(status: &Status) -> anyhow::Error {
    match status.get_details_error_info() {
        Some(info) => anyhow::anyhow!("{} ({})", status.message(), info.reason),
        None => anyhow::anyhow!("crypto-service answered {}: {}", status.code(), status.message()),
    }
}
