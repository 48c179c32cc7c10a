//! The all-in-one with TLS on all its HTTP ports, and clients that trust its authority.

use anyhow::{Context, Result, ensure};
use patchbay_testkit::{
    binaries::binary,
    http,
    ports::free_address,
    process::{Launch, Process},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::WebSocketStream;

/// Time for a client to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// The HTTP port of a service, and a page of it that everybody may see.
pub(crate) struct Gateway {
    pub(crate) service: &'static str,
    pub(crate) section: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) page: &'static str,
}

/// Where certificates come from.
#[derive(Clone)]
pub(crate) enum Source {
    Development,
    Files { certificate: PathBuf, key: PathBuf },
}

pub(crate) struct Suite {
    pub(crate) folder: TempDir,
    pub(crate) gateways: [Gateway; 4],
    pub(crate) ops: SocketAddr,
    pub(crate) process: Process,
}

impl Suite {
    pub(crate) async fn start(folder: TempDir, source: &Source) -> Result<Self> {
        let gateway = |service, section, page| Gateway { service, section, address: free_address(), page };
        let gateways = [
            gateway("console", "HTTP", "/"),
            gateway("camera-relay", "LISTEN", "/"),
            gateway("chat-gateway", "LISTEN", "/ws"),
            gateway("crypto-service", "LISTEN", "/.well-known/jwks.json"),
        ];
        let ops = free_address();
        let mut launch = Launch::binary("patchbay", "patchbay", folder.path())?
            .arg("run")
            .arg("--dev")
            .env("PATCHBAY_DATA__DIR", folder.path().join("data"))
            .env("PATCHBAY_OPS__LISTEN", ops.to_string())
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__UDP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__TCP", "127.0.0.1:0");
        for Gateway { service, section, address, .. } in &gateways {
            let prefix = format!("PATCHBAY_{}", service.to_uppercase().replace('-', "_"));
            let own = if *section == "HTTP" { "LISTEN" } else { "HTTP" };
            launch = launch
                .env(format!("{prefix}__GRPC__LISTEN"), free_address().to_string())
                .env(format!("{prefix}__{section}__{own}"), address.to_string());
            launch = match source {
                Source::Development => launch.env(format!("{prefix}__{section}__TLS__DEVELOPMENT"), "true"),
                Source::Files { certificate, key } => launch
                    .env(format!("{prefix}__{section}__TLS__CERTIFICATE_FILE"), certificate)
                    .env(format!("{prefix}__{section}__TLS__KEY_FILE"), key),
            };
        }
        let process = launch.start_ready(ops).await?;
        Ok(Self { folder, gateways, ops, process })
    }

    /// The authority of its data folder.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("data/tls/ca.pem")
    }

    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        let found = self.gateways.iter().find(|gateway| gateway.service == service);
        found.expect("it is one of the four").address
    }

    /// A figure at `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let answer = http::get(self.ops, "/metrics", &[]).await?;
        let value = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {name}"))?.parse()?)
    }
}

/// What a client that trusts the authority gets.
pub(crate) async fn connect(address: SocketAddr, authority: &Path) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = versions.with_root_certificates(roots).with_no_client_auth();
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::IpAddress(address.ip().into());
        anyhow::Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    };
    timeout(CONNECT, connecting).await.context("no connection in time")?
}

/// The certificate that a server shows.
pub(crate) async fn shown(address: SocketAddr, authority: &Path) -> Result<Vec<u8>> {
    let stream = connect(address, authority).await?;
    let chain = stream.get_ref().1.peer_certificates().context("no certificate")?;
    Ok(chain.first().context("an empty chain")?.to_vec())
}

pub(crate) async fn websocket(
    address: SocketAddr,
    path: &str,
    authority: &Path,
) -> Result<WebSocketStream<TlsStream<TcpStream>>> {
    let stream = connect(address, authority).await?;
    let opening = tokio_tungstenite::client_async(format!("wss://{address}{path}"), stream);
    Ok(timeout(CONNECT, opening).await.context("no upgrade in time")??.0)
}

/// Runs `patchbay` with these arguments.
pub(crate) fn patchbay(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary("patchbay")?).args(arguments).output()?)
}

/// Signs a pair of files for 127.0.0.1 by the local authority of a folder.
pub(crate) fn sign(data: &Path, out: &Path) -> Result<Source> {
    let (data, out_text) = (data.to_str().context("odd path")?, out.to_str().context("odd path")?);
    let signed = patchbay(&[
        "tls",
        "certificate",
        "--name",
        "127.0.0.1",
        "--name",
        "example.local",
        "--out",
        out_text,
        "--data",
        data,
    ])?;
    ensure!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    Ok(Source::Files { certificate: out.join("certificate.pem"), key: out.join("key.pem") })
}

/// Runs curl: `(status, everything it printed)`.
pub(crate) fn curl(authority: &Path, arguments: &[&str]) -> Result<(u16, String)> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}", "--cacert"])
        .arg(authority)
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl said nothing")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((status.parse()?, body.to_owned()))
}

/// Runs OpenSSL's client, and tells whether its handshake was made and the certificate verified, and what it said.
pub(crate) fn openssl(address: SocketAddr, authority: &Path, version: &str) -> Result<(bool, String)> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-verify_return_error", "-brief", version])
        .args(["-verify_ip", "127.0.0.1", "-cipher", "ALL:@SECLEVEL=0", "-CAfile"])
        .arg(authority)
        .stdin(std::process::Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.success() && text.contains("Verification: OK"), text))
}
