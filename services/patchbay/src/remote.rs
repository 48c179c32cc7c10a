//! Calls to a running crypto-service, signed as the operator of this machine.

use crate::{cli::DATA, keys, token};
use anyhow::Context;
use clap::Args;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
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
        connect("crypto-service", &self.url, self.key.as_deref(), &self.data).await
    }

    /// Connects as nobody, for calls that need no token.
    pub(crate) async fn stranger(&self) -> anyhow::Result<Channel> {
        channel("crypto-service", &self.url, TIMEOUT).await
    }
}

/// Connects to a service by its gRPC port, as the operator whose key is in the file, or in the data folder.
pub(crate) async fn connect(
    service: &str,
    url: &str,
    key: Option<&Path>,
    data: &Path,
) -> anyhow::Result<Connection> {
    connect_for(service, url, key, data, TIMEOUT).await
}

/// The same, for calls that may take so long.
pub(crate) async fn connect_for(
    service: &str,
    url: &str,
    key: Option<&Path>,
    data: &Path,
    within: Duration,
) -> anyhow::Result<Connection> {
    let bearer = Bearer::new(&token::for_operator(&keys::issuer(key, data)?)?)?;
    Ok(InterceptedService::new(channel(service, url, within).await?, bearer))
}

async fn channel(service: &str, url: &str, within: Duration) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("`{url}` is no address"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(within);
    endpoint.connect().await.with_context(|| format!("{service} does not answer at {url}"))
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
    refused_by("crypto-service", status)
}

/// Says what another service has refused.
pub(crate) fn refused_by(service: &str, status: &Status) -> anyhow::Error {
    match status.get_details_error_info() {
        Some(info) => anyhow::anyhow!("{} ({})", status.message(), info.reason),
        None => anyhow::anyhow!("{service} answered {}: {}", status.code(), status.message()),
    }
}
