//! Two replicas on ports of their own, and what tests say to them.

use anyhow::{Context as _, Result};
use crypto_service::{CryptoService, config::CryptoConfig};
use parking_lot::Mutex;
use patchbay_auth::{AuthConfig, Authenticator, follow};
use patchbay_chassis::{Context, Mode, Options, Process, Running, Service, StartError, Suite, config::Layer};
use patchbay_proto::crypto::v1::{
    self as pb, accounts_client::AccountsClient, admin_client::AdminClient, data_client::DataClient,
    keys_client::KeysClient, tokens_client::TokensClient,
};
use patchbay_testkit::{keys::Keys, ports::free_address};
use std::{collections::HashMap, sync::Arc};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt;

/// A password that is good enough.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Contexts of second replicas, by the address of the console that each was given: how a test gets at its own backplane.
static CONTEXTS: Mutex<Option<HashMap<String, Context>>> = Mutex::new(None);

/// A second replica, under a name of its own because a process has each service once.
struct Replica;

impl Service for Replica {
    const NAME: &'static str = "replica";
    const GRPC_PORT: u16 = 9190;
    const OPS_PORT: u16 = 9290;
    type Config = CryptoConfig;

    async fn start(config: CryptoConfig, context: Context) -> Result<Running, StartError> {
        let id = config.accounts.console_url.clone();
        CONTEXTS.lock().get_or_insert_default().insert(id, context.clone());
        CryptoService::start(config, context).await
    }
}

/// Clients of one replica.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) accounts: AccountsClient<Channel>,
    pub(crate) tokens: TokensClient<Channel>,
    pub(crate) admin: AdminClient<Channel>,
    pub(crate) keys: KeysClient<Channel>,
    pub(crate) data: DataClient<Channel>,
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) process: Process,
    pub(crate) keys: Keys,
    /// The first replica.
    pub(crate) one: Clients,
    /// The second.
    pub(crate) other: Clients,
    pub(crate) context: Context,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(|_, flags| flags).await
    }

    /// `change` is called for each replica with its name.
    pub(crate) async fn start_with(change: impl Fn(&str, Layer) -> Layer) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::create(folder.path())?;
        let issuer_key = folder.path().join("issuer.pem");
        keys.signer().write(&issuer_key)?;
        let root_key = folder.path().join("root.key");
        std::fs::write(&root_key, [7_u8; 32])?;
        let console = format!("http://{}", folder.path().display());
        let addresses = [free_address(), free_address()];
        let mut flags = Layer::new("test")
            .set("ops.listen", "127.0.0.1:0")
            .set("drain.delay", "0s")
            .set("drain.spread", "0s")
            .set("auth.jwks_file", keys.jwks().display().to_string());
        for (name, address) in ["crypto-service", "replica"].into_iter().zip(addresses) {
            flags = flags
                .set(&format!("{name}.listen.http"), "127.0.0.1:0")
                .set(&format!("{name}.grpc.listen"), address.to_string())
                .set(&format!("{name}.root_key.file"), root_key.display().to_string())
                .set(&format!("{name}.tokens.issuer_key_file"), issuer_key.display().to_string())
                .set(&format!("{name}.accounts.console_url"), console.clone())
                .set(&format!("{name}.accounts.lock_after"), 3)
                .set(&format!("{name}.passwords.argon2_memory"), "64KiB")
                .set(&format!("{name}.passwords.argon2_passes"), 1);
            flags = change(name, flags);
        }
        let options = Options {
            file: None,
            mode: Mode::Development,
            services: None,
            presets: Vec::new(),
            flags,
            environment: Vec::new(),
        };
        let suite = Suite::all_in_one("world", 9299).with::<CryptoService>().with::<Replica>();
        let process = Process::start(suite.load(&options)?).await?;
        let context =
            CONTEXTS.lock().get_or_insert_default().remove(&console).context("the replica started")?;
        let [one, other] = addresses.map(|address| clients(&format!("http://{address}")));
        Ok(Self { process, keys, one: one?, other: other?, context, _folder: folder })
    }

    /// Secrets of the links with which the first account can be made.
    pub(crate) fn setup_secrets(&self) -> Vec<String> {
        let links = self.process.addresses().iter().filter(|address| address.name == "setup");
        links.filter_map(|link| Some(link.url.split_once("#setup=")?.1.to_owned())).collect()
    }

    /// Makes the first account, `root`, and returns a token of it.
    pub(crate) async fn set_up(&mut self) -> Result<String> {
        let secret = self.setup_secrets().pop().context("there is a link")?;
        let request = pb::SetupRequest { secret, name: "root".into(), password: PASSWORD.into() };
        let session = self.one.accounts.setup(request).await?.into_inner().session;
        Ok(session.context("it is signed in")?.token)
    }

    /// Makes an account with scopes.
    pub(crate) async fn create(
        &mut self,
        admin: &str,
        name: &str,
        scopes: &[&str],
    ) -> Result<pb::Account, Status> {
        let request = pb::CreateAccountRequest {
            name: name.into(),
            password: PASSWORD.into(),
            scopes: texts(scopes),
            ..Default::default()
        };
        let created = self.one.accounts.create_account(with(admin, request)).await?;
        Ok(created.into_inner().account.unwrap_or_default())
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Result<pb::Session, Status> {
        sign_in(&mut self.one, name, password).await
    }

    /// What another process makes of tokens, which is told only what the backplane tells.
    pub(crate) async fn another_process(&self) -> Result<Arc<Authenticator>> {
        let config = AuthConfig { jwks_file: Some(self.keys.jwks().to_owned()), ..AuthConfig::default() };
        let authenticator = Arc::new(Authenticator::new(&config)?);
        let following = follow(Arc::clone(&authenticator), self.context.backplane.clone()).await;
        self.context.tasks.spawn("follow-in-test", following);
        Ok(authenticator)
    }

    /// Operations, targets and outcomes in the audit log, newest first.
    pub(crate) async fn audit(&mut self, admin: &str) -> Result<Vec<(String, String, String)>> {
        let request = with(admin, pb::ListAuditRequest { page_size: 1000, ..Default::default() });
        let records = self.one.admin.list_audit(request).await?.into_inner().records;
        Ok(records.into_iter().map(|r| (r.operation, r.target, r.outcome)).collect())
    }
}

pub(crate) async fn sign_in(
    clients: &mut Clients,
    name: &str,
    password: &str,
) -> Result<pb::Session, Status> {
    let request = pb::SignInRequest { name: name.into(), password: password.into(), device: "test".into() };
    Ok(clients.tokens.sign_in(request).await?.into_inner().session.unwrap_or_default())
}

pub(crate) async fn refresh(clients: &mut Clients, refresh_token: &str) -> Result<pb::Session, Status> {
    let request = pb::RefreshRequest { refresh_token: refresh_token.into() };
    Ok(clients.tokens.refresh(request).await?.into_inner().session.unwrap_or_default())
}

fn clients(address: &str) -> Result<Clients> {
    let channel = Channel::from_shared(address.to_owned())?.connect_lazy();
    Ok(Clients {
        accounts: AccountsClient::new(channel.clone()),
        tokens: TokensClient::new(channel.clone()),
        admin: AdminClient::new(channel.clone()),
        keys: KeysClient::new(channel.clone()),
        data: DataClient::new(channel),
    })
}

/// A request with a token.
pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token has plain characters");
    request.metadata_mut().insert("authorization", value);
    request
}

/// The reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("it must be refused");
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
