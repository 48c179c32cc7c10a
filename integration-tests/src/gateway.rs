//! chat-gateway as a real process.

use anyhow::Result;
use patchbay_testkit::{
    chat::ChatClient,
    keys::Keys,
    ports::free_address,
    process::{Launch, Process},
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What guests may do in these tests.
pub const GUEST_SCOPES: &str =
    r#"["chat:subscribe:room/*", "chat:publish:room/*", "chat:history:room/*", "chat:presence:room/*"]"#;

/// Configuration of a gateway: variables as an operator would set them.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// A gateway that guests may use, and that drains quickly.
    pub fn open() -> Self {
        Self::default()
            .set("auth.guest.enabled", "true")
            .set("auth.guest.scopes", GUEST_SCOPES)
            .set("drain.delay", "100ms")
            .set("drain.spread", "2s")
            .set("drain.deadline", "10s")
            .set("log.format", "json")
    }

    /// Sets a value by its key, such as `rooms.default.history`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        let variable = format!("PATCHBAY_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.0.push((variable, value.to_string()));
        self
    }

    /// Gives all of them to a process.
    pub fn apply(&self, launch: Launch) -> Launch {
        self.0.iter().fold(launch, |launch, (key, value)| launch.env(key, value))
    }
}

/// A running gateway.
pub struct Gateway {
    /// Its name in logs.
    pub name: String,
    /// The process.
    pub process: Process,
    /// WebSocket doors.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Operations.
    pub ops: SocketAddr,
    folder: PathBuf,
    settings: Settings,
}

impl Gateway {
    /// Starts one on free ports and waits until it is ready.
    pub async fn start(folder: &Path, name: &str, keys: &Keys, settings: Settings) -> Result<Self> {
        let (http, grpc, ops) = (free_address(), free_address(), free_address());
        let settings = settings
            .set("listen.http", &http)
            .set("grpc.listen", &grpc)
            .set("ops.listen", &ops)
            .set("auth.jwks_file", &keys.jwks().display());
        let process = launch(folder, name, &settings, ops).await?;
        Ok(Self { name: name.to_owned(), process, http, grpc, ops, folder: folder.to_owned(), settings })
    }

    /// Starts it again, on the same ports, after its process has ended.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.folder, &self.name, &self.settings, self.ops).await?;
        Ok(())
    }

    /// Address of the native door.
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.http)
    }

    /// Address of the classic door.
    pub fn classic_url(&self) -> String {
        format!("ws://{}/", self.http)
    }

    /// Connects a guest.
    pub async fn guest(&self, username: &str) -> Result<ChatClient> {
        ChatClient::guest(&self.url(), username).await
    }
}

async fn launch(folder: &Path, name: &str, settings: &Settings, ops: SocketAddr) -> Result<Process> {
    let launch = Launch::binary("chat-gateway", name, folder)?;
    settings.apply(launch).start_ready(ops).await
}
