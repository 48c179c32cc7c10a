//! The servers: `openssl s_server` in many shapes, vsftpd, and rustls.

use crate::authority::{Authority, Identity};
use anyhow::{Context, Result};
use patchbay_testkit::{
    ports::free_address,
    process::{Launch, Process},
    wait::wait_until,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Time for a server to listen.
const START: Duration = Duration::from_secs(10);

/// One that is probed.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) start_tls: &'static str,
    /// Codes that must be among what is said of its certificates, and no others that touch the grade.
    pub(crate) problems: &'static [&'static str],
    /// The letter that it must get.
    pub(crate) grade: &'static str,
    _running: Running,
}

#[expect(dead_code, reason = "kept for what happens when they are dropped")]
enum Running {
    Process(Process),
    Task(Aborted),
}

/// A task that ends when this is dropped.
struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What stands beside a server's name.
struct Shape<'a> {
    name: &'static str,
    identity: Identity,
    /// Whether it sends the intermediate too.
    chain: Option<&'a Path>,
    arguments: &'static str,
    problems: &'static [&'static str],
    grade: &'static str,
}

/// Makes all of them; each listens when this is done.
pub(crate) async fn all(authority: &Authority) -> Result<Vec<Server>> {
    let intermediate = authority.intermediate();
    let mut servers = Vec::new();
    let shapes = [sound(authority, &intermediate)?, unsound(authority, &intermediate)?];
    for shape in shapes.into_iter().flatten() {
        servers.push(openssl(authority.folder(), shape)?);
    }
    servers.push(vsftpd(authority)?);
    servers.push(post_quantum(authority).await?);
    for server in &servers {
        listens(server).await?;
    }
    Ok(servers)
}

/// One that is as it should be.
pub(crate) async fn good(authority: &Authority) -> Result<Server> {
    let (intermediate, identity) = (authority.intermediate(), authority.ecdsa("good")?);
    let (name, chain) = ("good", Some(intermediate.as_path()));
    let server = openssl(
        authority.folder(),
        Shape { name, identity, chain, arguments: "", problems: &[], grade: "A" },
    )?;
    listens(&server).await?;
    Ok(server)
}

async fn listens(server: &Server) -> Result<()> {
    wait_until(server.name, START, async || TcpStream::connect(server.address).await.is_ok()).await?;
    Ok(())
}

/// Servers whose certificates are as they should be.
fn sound<'a>(authority: &Authority, intermediate: &'a Path) -> Result<Vec<Shape<'a>>> {
    let chain = Some(intermediate);
    let shape =
        |name, identity, arguments, grade| Shape { name, identity, chain, arguments, problems: &[], grade };
    Ok(vec![
        // 1024 bits are what openssl takes for Diffie-Hellman at this level; anonymous suites and those without encryption are among all of them.
        shape("tls10", authority.rsa("tls10")?, "-tls1 -cipher ALL:@SECLEVEL=0", "F"),
        shape("tls11", authority.rsa("tls11")?, "-tls1_1 -cipher ALL:!aNULL:@SECLEVEL=0", "C"),
        shape(
            "tls12-everything",
            authority.rsa("everything")?,
            "-tls1_2 -cipher ALL:COMPLEMENTOFALL:@SECLEVEL=0",
            "F",
        ),
        shape("tls12", authority.rsa("tls12")?, "-tls1_2", "A"),
        shape(
            "tls13",
            authority.rsa("tls13")?,
            "-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
            "A",
        ),
        shape(
            "server-order",
            authority.rsa("order")?,
            "-min_protocol TLSv1 -serverpref -cipher ECDHE-RSA-AES128-SHA:AES256-SHA:ECDHE-RSA-AES256-GCM-SHA384:AES128-GCM-SHA256:@SECLEVEL=0",
            "B",
        ),
        shape("ecdsa", authority.ecdsa("ecdsa")?, "", "A"),
        shape("ed25519", authority.by_openssl("ed25519", "ed25519", "sha256")?, "", "A"),
    ])
}

/// Servers whose certificates are not.
fn unsound<'a>(authority: &Authority, intermediate: &'a Path) -> Result<Vec<Shape<'a>>> {
    let chain = Some(intermediate);
    let shape =
        |name, identity, arguments, grade| Shape { name, identity, chain, arguments, problems: &[], grade };
    Ok(vec![
        Shape {
            problems: &["CERTIFICATE_EXPIRED"],
            ..shape("expired", authority.expired("expired")?, "", "T")
        },
        Shape {
            problems: &["HOST_MISMATCH"],
            ..shape("wrong-host", authority.for_another_host("other")?, "", "M")
        },
        Shape {
            chain: None,
            problems: &["SELF_SIGNED"],
            ..shape("self-signed", authority.self_signed("self")?, "", "T")
        },
        Shape {
            chain: None,
            problems: &["MISSING_INTERMEDIATE"],
            ..shape("missing-intermediate", authority.rsa("missing")?, "", "T")
        },
        Shape {
            problems: &["WEAK_SIGNATURE"],
            ..shape(
                "sha1",
                authority.by_openssl("sha1", "rsa:2048", "sha1")?,
                "-cipher DEFAULT:@SECLEVEL=0",
                "T",
            )
        },
        Shape {
            problems: &["WEAK_KEY"],
            ..shape(
                "rsa1024",
                authority.by_openssl("rsa1024", "rsa:1024", "sha256")?,
                "-cipher DEFAULT:@SECLEVEL=0",
                "F",
            )
        },
    ])
}

fn openssl(folder: &Path, shape: Shape<'_>) -> Result<Server> {
    let Shape { name, identity, chain, arguments, problems, grade } = shape;
    let address = free_address();
    let mut launch = Launch::program("openssl", name, folder).arg("s_server").arg("-www");
    launch = launch.arg("-accept").arg(address.to_string());
    launch = launch.arg("-cert").arg(identity.certificate).arg("-key").arg(identity.key);
    if let Some(chain) = chain {
        launch = launch.arg("-cert_chain").arg(chain);
    }
    let launch = arguments.split_whitespace().fold(launch, Launch::arg);
    let process = launch.start()?;
    Ok(Server { name, address, start_tls: "none", problems, grade, _running: Running::Process(process) })
}

/// vsftpd, which speaks FTP until it is told to change.
fn vsftpd(authority: &Authority) -> Result<Server> {
    let (folder, identity, address) = (authority.folder(), authority.rsa("vsftpd")?, free_address());
    let chain = [fs::read(&identity.certificate)?, fs::read(authority.intermediate())?].concat();
    let (certificates, empty, config) =
        (folder.join("vsftpd-chain.pem"), folder.join("empty"), folder.join("vsftpd.conf"));
    fs::write(&certificates, chain)?;
    fs::create_dir(&empty)?;
    let settings = [
        "listen=YES".to_owned(),
        "background=NO".to_owned(),
        "run_as_launching_user=YES".to_owned(),
        "seccomp_sandbox=NO".to_owned(),
        "anonymous_enable=YES".to_owned(),
        format!("listen_address={}", address.ip()),
        format!("listen_port={}", address.port()),
        format!("secure_chroot_dir={}", empty.display()),
        "ssl_enable=YES".to_owned(),
        format!("rsa_cert_file={}", certificates.display()),
        format!("rsa_private_key_file={}", identity.key.display()),
        "ssl_ciphers=HIGH".to_owned(),
    ];
    fs::write(&config, settings.join("\n") + "\n")?;
    let process = Launch::program("/usr/sbin/vsftpd", "vsftpd", folder).arg(config).start()?;
    Ok(Server {
        name: "vsftpd",
        address,
        start_tls: "ftp",
        problems: &[],
        grade: "A",
        _running: Running::Process(process),
    })
}

/// rustls with the hybrid of X25519 and ML-KEM-768.
async fn post_quantum(authority: &Authority) -> Result<Server> {
    let identity = authority.ecdsa("post-quantum")?;
    let mut certificates = Vec::new();
    for file in [identity.certificate, authority.intermediate()] {
        certificates.extend(CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?);
    }
    let key = PrivateKeyDer::from_pem_file(identity.key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr().context("it listens")?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let task = tokio::task::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            // A handshake that fails is the business of whoever began it.
            tokio::task::spawn(async move { drop(acceptor.accept(stream).await) });
        }
    });
    let running = Running::Task(Aborted(task));
    Ok(Server { name: "rustls", address, start_tls: "none", problems: &[], grade: "A", _running: running })
}
