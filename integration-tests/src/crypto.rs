//! crypto-service as a real process.

use crate::gateway::Settings;
use anyhow::{Context, Result};
use patchbay_testkit::{
    keys::Keys,
    ports::free_address,
    process::{Launch, Process},
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tonic::{
    Request,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Replicas of one installation: they share the issuer, the root key and, with Redis, the store.
pub struct Installation {
    /// The issuer whose key set everybody believes.
    pub keys: Keys,
    folder: PathBuf,
    settings: Settings,
}

/// A running replica.
pub struct Crypto {
    /// Its name in logs.
    pub name: String,
    /// The process.
    pub process: Process,
    /// REST and Vault's protocol.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Operations.
    pub ops: SocketAddr,
    folder: PathBuf,
    settings: Settings,
}

impl Installation {
    /// Makes the issuer's key and a root key in a folder. `settings` hold for every replica: `backplane.url` or `backplane.file` too.
    pub fn create(folder: &Path, settings: Settings) -> Result<Self> {
        let mut root = [0; 32];
        let mut random = fs::File::open("/dev/urandom").context("no randomness")?;
        std::io::Read::read_exact(&mut random, &mut root)?;
        fs::write(folder.join("root.key"), root)?;
        Self::without_root_key(folder, settings.set("root_key.file", &folder.join("root.key").display()))
    }

    /// The same with a seal that is opened with shares: replicas start sealed.
    pub fn shared(folder: &Path, settings: Settings) -> Result<Self> {
        Self::without_root_key(folder, settings.set("root_key.shares", "true"))
    }

    /// The same without a root key, which is the caller's business.
    pub fn without_root_key(folder: &Path, settings: Settings) -> Result<Self> {
        let keys = Keys::create(folder)?;
        keys.signer().write(&folder.join("issuer.pem"))?;
        // One key for all replicas: what they tell each other is encrypted with what is made from it.
        keys.signer().write(&folder.join("service.pem"))?;
        let settings = settings
            .set("drain.delay", "0s")
            .set("drain.spread", "0s")
            .set("drain.deadline", "5s")
            .set("log.format", "json")
            .set("auth.jwks_file", &keys.jwks().display())
            .set("auth.service_key_file", &folder.join("service.pem").display())
            .set("tokens.issuer_key_file", &folder.join("issuer.pem").display());
        Ok(Self { keys, folder: folder.to_owned(), settings })
    }

    /// Starts a replica on free ports and waits until it is ready.
    pub async fn start(&self, name: &str) -> Result<Crypto> {
        let (http, grpc, ops) = (free_address(), free_address(), free_address());
        let settings =
            self.settings.clone().set("listen.http", &http).set("grpc.listen", &grpc).set("ops.listen", &ops);
        let process = launch(&self.folder, name, &settings, ops).await?;
        Ok(Crypto { name: name.to_owned(), process, http, grpc, ops, folder: self.folder.clone(), settings })
    }

    /// The same replicas with another setting.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings = self.settings.set(key, value);
        self
    }

    /// A token that allows everything.
    pub fn admin(&self) -> Result<String> {
        self.keys.token("operator", &["admin"])
    }
}

impl Crypto {
    /// Starts it again, on the same ports, after its process has ended.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, &self.name, &self.settings, self.ops).await?;
        Ok(())
    }

    /// A gRPC connection whose calls carry a token: `KeysClient::new(replica.client(&token)?)`.
    pub fn client(&self, token: &str) -> Result<Client> {
        let channel = Endpoint::from_shared(format!("http://{}", self.grpc))?.connect_lazy();
        let header = MetadataValue::try_from(format!("Bearer {token}"))?;
        Ok(InterceptedService::new(channel, Bearer(header)))
    }

    /// A gRPC connection whose calls carry no token.
    pub fn stranger(&self) -> Result<Channel> {
        Ok(Endpoint::from_shared(format!("http://{}", self.grpc))?.connect_lazy())
    }

    /// Secret of the one-time link, from its log.
    pub fn setup_secret(&self) -> Option<String> {
        let log = self.process.log();
        let after = log.rsplit_once("#setup=")?.1;
        let end =
            after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(after.len());
        Some(after.get(..end)?.to_owned())
    }
}

/// A channel that signs its calls.
pub type Client = InterceptedService<Channel, Bearer>;

/// Puts a token on every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

async fn launch(folder: &Path, name: &str, settings: &Settings, ops: SocketAddr) -> Result<Process> {
    let launch = Launch::binary("crypto-service", name, folder)?;
    settings.apply(launch).start_ready(ops).await
}
