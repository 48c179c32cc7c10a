//! Key files and the limits of minting.

use super::{Claims, KeyOwner, Signer, SignerError, thumbprint};
use std::time::Duration;

#[test]
fn a_key_file_is_private_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.pem");
    let made = Signer::load_or_generate(&path, KeyOwner::Issuer).unwrap();
    let read = Signer::load_or_generate(&path, KeyOwner::Issuer).unwrap();
    assert_eq!(made.kid(), read.kid());
    assert_eq!(made.jwks(), read.jwks());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(made.write(&path), Err(SignerError::Write { .. })), "a key is never overwritten");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_start_that_was_killed_half_way_leaves_no_half_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.pem");
    let left = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&left, "-----BEGIN PRI").unwrap();
    let made = Signer::load_or_generate(&path, KeyOwner::Issuer).unwrap();
    assert_eq!(Signer::load(&path, KeyOwner::Issuer).unwrap().kid(), made.kid());
    assert!(!left.exists());
}

#[test]
fn reads_what_openssl_writes() {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
               -----END PRIVATE KEY-----\n";
    let signer = Signer::from_pem(pem, KeyOwner::Issuer).unwrap();
    // RFC 8037 appendix A.2 is the same key.
    assert_eq!(signer.jwks().keys[0].x.as_deref(), Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
}

#[test]
fn the_thumbprint_is_that_of_the_standard() {
    let expected = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), expected, "RFC 8037 appendix A.3");
}

#[test]
fn refuses_what_is_no_key() {
    for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert!(matches!(Signer::from_pem(text, KeyOwner::Issuer), Err(SignerError::NotAKey)), "{text}");
    }
}

#[test]
fn minting_has_limits() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    let long = Claims { ttl: Duration::from_secs(901), ..Claims::new("ada", vec![]) };
    assert!(matches!(signer.mint(long.clone()), Err(SignerError::Claims(_))));
    assert!(signer.mint_long_lived(long).is_ok());
    assert!(matches!(signer.mint(Claims::new("", vec![])), Err(SignerError::Claims(_))));
    assert!(matches!(signer.mint(Claims::new("x".repeat(129), vec![])), Err(SignerError::Claims(_))));
    let many = vec!["a:b:c".parse().unwrap(); 65];
    assert!(matches!(signer.mint(Claims::new("ada", many)), Err(SignerError::Claims(_))));
}
