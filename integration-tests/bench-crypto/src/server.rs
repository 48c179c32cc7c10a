//! The servers: real processes with an issuer, a token and a clock of their CPU time.

use anyhow::{Context as _, Result, bail};
use patchbay_auth::{Claims, KeyOwner, Scope, Signer};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Time for a server to start.
const START: Duration = Duration::from_secs(20);

/// Where a server may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Core 0 alone; the load is on core 1.
    First,
    /// Wherever the system puts it.
    All,
}

/// What the servers of a run share.
pub(crate) struct Installation {
    folder: PathBuf,
    signer: Signer,
}

impl Installation {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let signer = Signer::generate(KeyOwner::Issuer)?;
        signer.write(&folder.join("issuer.pem"))?;
        signer.jwks().write(&folder.join("jwks.json"))?;
        let mut root = [0; 32];
        aws_lc_rs::rand::fill(&mut root).context("no randomness")?;
        fs::write(folder.join("root.key"), root)?;
        Ok(Self { folder: folder.to_owned(), signer })
    }

    pub(crate) async fn start(&self, name: &str, binary: &Path, cores: Cores) -> Result<Server> {
        let (grpc, ops, http) = (free()?, free()?, free()?);
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        let mut command = match cores {
            Cores::First => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(binary);
                command
            }
            // The load's own core is its child's too unless it says otherwise.
            Cores::All => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0-1023"]).arg(binary);
                command
            }
        };
        command.env("PATCHBAY_GRPC__LISTEN", grpc.to_string());
        command.env("PATCHBAY_OPS__LISTEN", ops.to_string());
        command.env("PATCHBAY_AUTH__JWKS_FILE", self.folder.join("jwks.json"));
        if name == "crypto-service" {
            command.env("PATCHBAY_LISTEN__HTTP", http.to_string());
            command.env("PATCHBAY_ROOT_KEY__FILE", self.folder.join("root.key"));
            command.env("PATCHBAY_TOKENS__ISSUER_KEY_FILE", self.folder.join("issuer.pem"));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Server { child, grpc };
        server.wait(name, &self.folder).await?;
        Ok(server)
    }

    /// A connection to a server, with a token that allows everything.
    pub(crate) fn connect(&self, server: &Server) -> Result<Client> {
        let token = self.signer.mint(Claims::new("bench", vec![Scope::Admin]))?;
        let header = MetadataValue::try_from(format!("Bearer {token}"))?;
        let channel = Endpoint::from_shared(format!("http://{}", server.grpc))?.connect_lazy();
        Ok(InterceptedService::new(channel, Bearer(header)))
    }
}

/// A connection that signs its calls.
pub(crate) type Client = InterceptedService<Channel, Bearer>;

/// Puts a token on every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    grpc: SocketAddr,
}

impl Server {
    /// CPU time of all its threads, in seconds. Its threads live as long as it does.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let on_cpu: u64 = text.split_whitespace().next().unwrap_or_default().parse()?;
            nanoseconds += on_cpu;
        }
        Ok(Duration::from_nanos(nanoseconds).as_secs_f64())
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(peak.trim().trim_end_matches("kB").trim().parse()?)
    }

    async fn wait(&mut self, name: &str, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect_timeout(&self.grpc, Duration::from_secs(1)).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
                bail!("{name} does not listen ({ended:?}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is not measured, so it need not be graceful; both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
