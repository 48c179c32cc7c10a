//! Servers to be probed: OpenSSL's, rustls's, and scripted ones.

use patchbay_testkit::{ports::free_address, wait::wait_until};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// A certificate that signed itself, and its key.
pub(super) struct Certified {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

/// Makes one; `kind` is what `openssl req -newkey` takes.
pub(super) fn certified(kind: &[&str]) -> Certified {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=probe.example"])
        .args(["-addext", "subjectAltName=DNS:probe.example", "-newkey"])
        .args(kind)
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Certified { _folder: folder, certificate, key }
}

/// `openssl s_server`, ended with this.
pub(super) struct OpenSsl {
    pub(super) address: SocketAddr,
    _child: Child,
}

impl OpenSsl {
    pub(super) async fn start(certified: &Certified, arguments: &[&str]) -> Self {
        let address = free_address();
        let child = Command::new("openssl")
            .args(["s_server", "-accept", &address.to_string(), "-quiet", "-cert"])
            .arg(&certified.certificate)
            .arg("-key")
            .arg(&certified.key)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listens = async || TcpStream::connect(address).await.is_ok();
        wait_until("openssl s_server listens", Duration::from_secs(10), listens).await.unwrap();
        Self { address, _child: child }
    }
}

/// A server of rustls with all its groups, which says the words first, each after it was spoken to. It stands until the test ends.
pub(super) async fn rustls(certified: &Certified, words: &'static [&'static str]) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(&certified.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certified.key).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    fake(move |mut stream: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            for (at, words) in words.iter().enumerate() {
                if at > 0 && stream.read(&mut [0; 512]).await.unwrap_or(0) == 0 {
                    return;
                }
                let _closed = stream.write_all(words.as_bytes()).await;
            }
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _closed = stream.read(&mut [0; 512]).await;
            }
        }
    })
    .await
}

/// A server that does this with each connection. It stands until the test ends.
pub(super) async fn fake<F, Done>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Handle::current();
    runtime.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            runtime.spawn(serve(stream));
        }
    });
    address
}
