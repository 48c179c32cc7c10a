use super::*;
use patchbay_chassis::Clock;
use patchbay_tls::{Acceptor, Certificate, Place, Tls, Version};
use rustls::pki_types::ServerName;
use std::{fs, net::Ipv4Addr};
use tokio::net::{TcpListener, TcpStream};

/// A gateway with a certificate of the local authority in a data folder; it makes both.
fn gateway(data: &Path) -> Acceptor {
    let tls = Tls { development: true, ..Tls::default() };
    let place = Place { data: Some(data), owner: "gateway" };
    let certificate = Certificate::open(&tls, place, Clock::system()).unwrap().unwrap();
    Acceptor::new(certificate, &[b"http/1.1"], Version::Tls12).unwrap()
}

/// Whether a console that trusts so connects to it.
async fn connects(trust: &Trust, gateway: &Acceptor) -> bool {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async { gateway.accept(listener.accept().await.unwrap().0).await.is_ok() };
    let connected = async {
        let stream = TcpStream::connect(address).await.unwrap();
        trust.connector().await.connect(ServerName::from(address.ip()), stream).await.is_ok()
    };
    tokio::join!(served, connected).1
}

#[tokio::test]
async fn an_authority_that_is_made_later_is_trusted() {
    let data = tempfile::tempdir().unwrap();
    let trust = Trust::open(None, Some(data.path())).unwrap();
    let first = gateway(data.path());
    assert!(connects(&trust, &first).await);
    fs::remove_dir_all(data.path().join("tls")).unwrap();
    let second = gateway(data.path());
    assert!(connects(&trust, &second).await && !connects(&trust, &first).await, "the new one, and no other");
    fs::write(data.path().join("tls/ca.pem"), "half a certifi").unwrap();
    assert!(connects(&trust, &second).await, "as before");
}

#[tokio::test]
async fn those_of_the_web_are_trusted_beside_a_local_one_and_not_beside_a_file() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path());
    let authority = data.path().join("tls/ca.pem");
    let roots = |source: &Source| source.roots(fs::read(&authority).ok().as_deref()).unwrap().len();
    let web = webpki_roots::TLS_SERVER_ROOTS.len();
    assert_eq!(roots(&Source::Web { local: Some(authority.clone()) }), web + 1);
    assert_eq!(roots(&Source::File(authority.clone())), 1);
    assert!(connects(&Trust::open(Some(&authority), None).unwrap(), &gateway).await);
    assert!(!connects(&Trust::open(None, None).unwrap(), &gateway).await);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    assert!(matches!(Trust::open(Some(&file), None), Err(TrustError::Read { .. })));
    fs::write(&file, "nothing").unwrap();
    assert!(matches!(Trust::open(Some(&file), None), Err(TrustError::Pem { .. })));
}
