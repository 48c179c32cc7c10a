//! Two replicas of crypto-service on a real Redis, a console, and a TLS server whose certificate is changed.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
};
use patchbay_proto::{
    console::v1::{Event, ListEventsRequest, events_client::EventsClient},
    crypto::v1::{ListCertificatesRequest, WatchedCertificate, tls_client::TlsClient},
};
use patchbay_testkit::{
    ports::free_address,
    process::{Launch, Process},
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::{Request, metadata::MetadataValue, transport::Endpoint};

/// Longest that anything may take: three times the lease of a replica that was killed, and a round.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that runs.
pub(crate) struct World {
    pub(crate) replicas: Vec<Crypto>,
    pub(crate) redis: RedisServer,
    pub(crate) host: Host,
    pub(crate) installation: Installation,
    pub(crate) console: SocketAddr,
    pub(crate) folder: TempDir,
    token: String,
    _console: Process,
}

impl World {
    /// Hosts are looked at every second, and a replica that died is waited for 3 s; the replicas' own listeners show a certificate of `own_days`.
    pub(crate) async fn start(host_days: u32, own_days: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis = RedisServer::start(Persistence::Always).await?;
        let host = Host::start(folder.path(), host_days).await?;
        let (certificate, key) = certificate(folder.path(), "own", own_days)?;
        let settings = Settings::default()
            .set("backplane.url", &redis.url())
            .set("certificates.watch", &format!(r#"["{}"]"#, host.address))
            .set("certificates.check_every", "1s")
            .set("certificates.lease", "3s")
            .set("tls_probe.egress.allow", r#"["127.0.0.0/8"]"#)
            .set("listen.tls.certificate_file", &certificate.display())
            .set("listen.tls.key_file", &key.display());
        let installation = Installation::create(folder.path(), settings)?;
        let replicas = vec![installation.start("crypto-0").await?, installation.start("crypto-1").await?];
        let (console, process) = console(folder.path(), &redis, &installation).await?;
        let token = installation.admin()?;
        Ok(Self { replicas, redis, host, installation, console, folder, token, _console: process })
    }

    pub(crate) fn client(&self, replica: usize) -> Result<Client> {
        self.replicas.get(replica).context("there is no such replica")?.client(&self.token)
    }

    /// What a replica tells of certificates.
    pub(crate) async fn certificates(&self, replica: usize) -> Result<Vec<WatchedCertificate>> {
        let mut client = TlsClient::new(self.client(replica)?);
        Ok(client.list_certificates(ListCertificatesRequest {}).await?.into_inner().certificates)
    }

    /// What it tells of the host.
    pub(crate) async fn host_at(&self, replica: usize) -> Result<WatchedCertificate> {
        let name = self.host.address.to_string();
        let found = self.certificates(replica).await?.into_iter().find(|it| it.name == name);
        found.context("the host is not in the list")
    }

    /// Waits until all living replicas show a host with so many days left.
    pub(crate) async fn shown(&self, replicas: &[usize], days: i32) -> Result<Duration> {
        wait_until(&format!("the host has {days} days left"), PATIENCE, async || {
            for replica in replicas {
                let shown = self.host_at(*replica).await;
                if !shown.is_ok_and(|host| host.not_after.is_some() && host.days_left == days) {
                    return false;
                }
            }
            true
        })
        .await
    }

    /// Waits until the host was looked at after now, twice: what a look finds is told before the next.
    pub(crate) async fn looked_at(&self, replica: usize) -> Result<Duration> {
        let checked = async || Some(self.host_at(replica).await.ok()?.checked?.seconds);
        let (mut last, mut looks) = (checked().await, 0);
        wait_until("the host is looked at", PATIENCE, async || {
            let now = checked().await;
            if now.is_some() && now != last {
                (last, looks) = (now, looks + 1);
            }
            looks >= 2
        })
        .await
    }

    /// All events whose type begins so, oldest first.
    pub(crate) async fn events(&self, prefix: &str) -> Result<Vec<Event>> {
        let channel = Endpoint::from_shared(format!("http://{}", self.console))?.connect().await?;
        let wanted = ListEventsRequest { type_prefix: prefix.into(), page_size: 1000, ..Default::default() };
        let mut request = Request::new(wanted);
        let bearer = MetadataValue::try_from(format!("Bearer {}", self.token))?;
        request.metadata_mut().insert("authorization", bearer);
        let answer = EventsClient::new(channel).list_events(request).await?.into_inner();
        ensure!(answer.next_page_token.is_empty(), "there is more than a page");
        Ok(answer.events.into_iter().rev().collect())
    }

    /// Thresholds of all events of a certificate, oldest first.
    pub(crate) async fn told(&self, name: &str) -> Result<Vec<u64>> {
        let mut told = Vec::new();
        for event in self.events("certificate.").await?.iter().filter(|event| event.subject == name) {
            ensure!(event.r#type == "certificate.expiring", "{}", event.r#type);
            let data: Value = serde_json::from_str(&event.data)?;
            ensure!(data["name"] == name, "{data}");
            told.push(data["threshold"].as_u64().context("no threshold")?);
        }
        Ok(told)
    }

    /// As [`World::told`], of the host.
    pub(crate) async fn told_of_host(&self) -> Result<Vec<u64>> {
        self.told(&self.host.address.to_string()).await
    }

    /// Waits until these thresholds of the host were told, and no others.
    pub(crate) async fn told_becomes(&self, expected: &[u64]) -> Result<Duration> {
        wait_until(&format!("{expected:?} were told"), PATIENCE, async || {
            self.told_of_host().await.is_ok_and(|told| told == expected)
        })
        .await
    }
}

/// A TLS server of OpenSSL's, on one port whatever its certificate.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    process: Process,
    started: u32,
}

impl Host {
    async fn start(folder: &Path, days: u32) -> Result<Self> {
        let address = free_address();
        let process = serve(folder, address, 0, days).await?;
        Ok(Self { address, folder: folder.to_owned(), process, started: 0 })
    }

    /// Serves another certificate from now on.
    pub(crate) async fn renew(&mut self, days: u32) -> Result<()> {
        self.process.kill()?;
        self.started += 1;
        self.process = serve(&self.folder, self.address, self.started, days).await?;
        Ok(())
    }
}

async fn serve(folder: &Path, address: SocketAddr, number: u32, days: u32) -> Result<Process> {
    let name = format!("host-{number}");
    let (certificate, key) = certificate(folder, &name, days)?;
    let process = Launch::program("openssl", &name, folder)
        .arg("s_server")
        .arg("-www")
        .arg("-accept")
        .arg(address.to_string())
        .arg("-cert")
        .arg(certificate)
        .arg("-key")
        .arg(key)
        .start()?;
    wait_until("the server listens", PATIENCE, async || TcpStream::connect(address).await.is_ok()).await?;
    Ok(process)
}

/// A certificate that signed itself and ends in so many days, and its key.
fn certificate(folder: &Path, name: &str, days: u32) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", &format!("/CN={name}"), "-days", &days.to_string()])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .context("is the package openssl installed?")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok((certificate, key))
}

async fn console(
    folder: &Path,
    redis: &RedisServer,
    installation: &Installation,
) -> Result<(SocketAddr, Process)> {
    let (grpc, ops) = (free_address(), free_address());
    let settings = Settings::default()
        .set("backplane.url", &redis.url())
        .set("http.listen", &free_address())
        .set("grpc.listen", &grpc)
        .set("ops.listen", &ops)
        .set("drain.delay", "0s")
        .set("drain.spread", "0s")
        .set("auth.jwks_file", &installation.keys.jwks().display());
    let launch = settings.apply(Launch::binary("console", "console", folder)?);
    Ok((grpc, launch.start_ready(ops).await?))
}
