//! Servers to be probed: OpenSSL's, rustls's, and scripted ones.

use patchbay_testkit::{ports::free_address, wait::wait_until};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
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
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
};
use tokio_rustls::TlsAcceptor;

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

impl Certified {
    pub(super) fn certificate(&self) -> Vec<u8> {
        std::fs::read(&self.certificate).unwrap()
    }
}

/// A server of rustls with all its groups, which says the words first, each after it was spoken to. It stands until the test ends.
pub(super) async fn rustls(certified: &Certified, words: &'static [&'static str]) -> SocketAddr {
    serve(acceptor(certified, &[]), words, "").await
}

/// The same as a server of HTTP that gives this answer to all.
pub(super) async fn https(certified: &Certified, answer: &'static str) -> SocketAddr {
    serve(acceptor(certified, &["http/1.1"]), &[], answer).await
}

/// A server that shows a certificate and has another one's key.
pub(super) async fn copied(shown: &Certified, signing: &Certified) -> SocketAddr {
    serve(acceptor_of(shown, signing, &[]), &[], "").await
}

fn acceptor(certified: &Certified, alpn: &[&str]) -> TlsAcceptor {
    acceptor_of(certified, certified, alpn)
}

fn acceptor_of(shown: &Certified, signing: &Certified, alpn: &[&str]) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(&shown.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&signing.key).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, words: &'static [&'static str], answer: &'static str) -> SocketAddr {
    fake(move |mut stream: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            for (at, words) in words.iter().enumerate() {
                if at > 0 && stream.read(&mut [0; 512]).await.unwrap_or(0) == 0 {
                    return;
                }
                let _closed = stream.write_all(words.as_bytes()).await;
            }
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if stream.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {
                let _closed = stream.write_all(answer.as_bytes()).await;
                let _closed = stream.shutdown().await;
            }
        }
    })
    .await
}

/// A way to a server that takes half a round trip in each direction, and a whole one to open a connection.
pub(super) async fn far_away(server: SocketAddr, round_trip: Duration) -> SocketAddr {
    fake(move |stream: TcpStream| async move {
        tokio::time::sleep(round_trip).await;
        let Ok(onward) = TcpStream::connect(server).await else { return };
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (stream.into_split(), onward.into_split());
        tokio::join!(
            late(&mut from_client, &mut to_server, round_trip / 2),
            late(&mut from_server, &mut to_client, round_trip / 2),
        );
    })
    .await
}

async fn late(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, by: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(by).await;
        if to.write_all(buffer.get(..count).unwrap()).await.is_err() {
            break;
        }
    }
    let _closed = to.shutdown().await;
}

/// A way to a server on which hellos of SSL 3.0 are lost.
pub(super) async fn silent_about_ssl3(server: SocketAddr) -> SocketAddr {
    fake(move |mut stream: TcpStream| async move {
        let mut record = [0; 3];
        let count = stream.peek(&mut record).await.unwrap_or(0);
        if record.get(..count) == Some(&[22, 3, 0]) {
            let mut lost = [0; 4096];
            while stream.read(&mut lost).await.is_ok_and(|count| count > 0) {}
            return;
        }
        let Ok(mut onward) = TcpStream::connect(server).await else { return };
        let _ended = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
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
