use super::*;
use rustls::pki_types::{ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Some day in 2027.
const NOW: u64 = 1_800_000_000_000;

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What a client that trusts the authority makes of a certificate.
fn verify(authority: &Authority, certificate: &str, name: &str) -> Result<(), webpki::Error> {
    let (root, leaf) = (der(authority.certificate()), der(certificate));
    let anchor = anchor_from_trusted_cert(&root)?;
    let leaf = EndEntityCert::try_from(&leaf)?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(NOW));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &[anchor], &[], now, KeyUsage::server_auth(), None, None)?;
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
}

#[test]
fn clients_that_trust_it_trust_what_it_signs() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), &Clock::manual(NOW)).unwrap();
    let names = ["localhost", "127.0.0.1", "::1", "patchbay.local", "*.home.lan"].map(str::to_owned);
    let signed = authority.sign(&names).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "patchbay.local", "tv.home.lan"] {
        verify(&authority, &signed.certificate, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(verify(&authority, &signed.certificate, "other.local").is_err());
}

#[test]
fn clients_hold_it_to_its_names_even_if_its_key_is_stolen() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path(), &Clock::manual(NOW)).unwrap();
    for name in ["bank.com", "8.8.8.8"] {
        assert!(authority.sign(&[name.to_owned()]).is_err());
        let key = KeyPair::generate().unwrap();
        let mut forged = CertificateParams::new([name.to_owned()]).unwrap();
        set_validity(&mut forged, Duration::ZERO, Duration::from_millis(NOW) + SERVER_LIFE);
        let forged = forged.signed_by(&key, &authority.issuer).unwrap();
        let error = verify(&authority, &forged.pem(), name).unwrap_err();
        assert!(matches!(error, webpki::Error::NameConstraintViolation), "{name}: {error}");
    }
}
