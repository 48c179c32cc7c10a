use super::*;
use std::collections::HashSet;

fn suite(name: &str) -> Suite {
    Suite::by_name(name).unwrap_or_else(|| panic!("{name} is not in the table"))
}

#[test]
fn numbers_and_names_are_each_there_once() {
    let numbers: HashSet<_> = table::SUITES.iter().map(|suite| suite.number).collect();
    let names: HashSet<_> = table::SUITES.iter().map(|suite| suite.name).collect();
    assert_eq!((numbers.len(), names.len()), (table::SUITES.len(), table::SUITES.len()));
    assert!(table::SUITES.len() > 180, "{}", table::SUITES.len());
}

/// Key exchange, cipher, its bits, integrity, forward secrecy and how bad it is.
type Properties = (KeyExchange, Cipher, u32, Integrity, bool, Severity);

/// A suite of each kind.
const PROPERTIES: [(&str, Properties); 20] = [
    ("TLS_AES_256_GCM_SHA384", (KeyExchange::Any, Cipher::Aes, 256, Integrity::Aead, true, Severity::Good)),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        (KeyExchange::Any, Cipher::ChaCha20, 256, Integrity::Aead, true, Severity::Good),
    ),
    ("TLS_AES_128_CCM_8_SHA256", (KeyExchange::Any, Cipher::Aes, 128, Integrity::Aead, true, Severity::Good)),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        (KeyExchange::Ecdhe, Cipher::Aes, 128, Integrity::Aead, true, Severity::Good),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
        (KeyExchange::Ecdhe, Cipher::Aes, 256, Integrity::Aead, true, Severity::Good),
    ),
    (
        "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
        (KeyExchange::Dhe, Cipher::Aes, 256, Integrity::Sha256, true, Severity::Note),
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        (KeyExchange::Ecdhe, Cipher::Aes, 256, Integrity::Sha384, true, Severity::Note),
    ),
    (
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        (KeyExchange::Rsa, Cipher::Aes, 128, Integrity::Sha1, false, Severity::Warning),
    ),
    (
        "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        (KeyExchange::Rsa, Cipher::TripleDes, 112, Integrity::Sha1, false, Severity::Warning),
    ),
    (
        "TLS_RSA_WITH_RC4_128_MD5",
        (KeyExchange::Rsa, Cipher::Rc4, 128, Integrity::Md5, false, Severity::Critical),
    ),
    (
        "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA",
        (KeyExchange::Rsa, Cipher::Des, 40, Integrity::Sha1, false, Severity::Critical),
    ),
    (
        "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5",
        (KeyExchange::Rsa, Cipher::Rc2, 40, Integrity::Md5, false, Severity::Critical),
    ),
    (
        "TLS_RSA_EXPORT1024_WITH_RC4_56_SHA",
        (KeyExchange::Rsa, Cipher::Rc4, 56, Integrity::Sha1, false, Severity::Critical),
    ),
    (
        "TLS_DH_anon_WITH_AES_256_GCM_SHA384",
        (KeyExchange::Dhe, Cipher::Aes, 256, Integrity::Aead, true, Severity::Critical),
    ),
    (
        "TLS_ECDH_anon_WITH_AES_128_CBC_SHA",
        (KeyExchange::Ecdhe, Cipher::Aes, 128, Integrity::Sha1, true, Severity::Critical),
    ),
    (
        "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA",
        (KeyExchange::StaticEcdh, Cipher::Aes, 128, Integrity::Sha1, false, Severity::Warning),
    ),
    (
        "TLS_DH_DSS_WITH_AES_128_CBC_SHA",
        (KeyExchange::StaticDh, Cipher::Aes, 128, Integrity::Sha1, false, Severity::Warning),
    ),
    (
        "TLS_RSA_WITH_NULL_SHA256",
        (KeyExchange::Rsa, Cipher::Null, 0, Integrity::Sha256, false, Severity::Critical),
    ),
    (
        "TLS_RSA_PSK_WITH_AES_128_CBC_SHA",
        (KeyExchange::Rsa, Cipher::Aes, 128, Integrity::Sha1, false, Severity::Warning),
    ),
    (
        "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256",
        (KeyExchange::Dhe, Cipher::Aes, 128, Integrity::Aead, true, Severity::Good),
    ),
];

#[test]
fn properties_are_those_of_the_name() {
    let properties = |name| {
        let suite = suite(name);
        (
            suite.key_exchange(),
            suite.cipher(),
            suite.bits(),
            suite.integrity(),
            suite.has_forward_secrecy(),
            suite.severity(),
        )
    };
    for (name, expected) in PROPERTIES {
        assert_eq!(properties(name), expected, "{name}");
    }
}

#[test]
fn a_version_is_asked_for_what_it_may_speak() {
    let names = |version| suites_for(version).iter().map(|suite| suite.name).collect::<HashSet<_>>();
    assert_eq!(names(Version::Tls13).len(), 5);
    assert!(names(Version::Tls12).contains("TLS_RSA_WITH_AES_128_CBC_SHA"));
    assert!(names(Version::Tls12).contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
    assert!(!names(Version::Tls12).contains("TLS_AES_128_GCM_SHA256"));
    assert!(!names(Version::Tls11).contains("TLS_RSA_WITH_AES_128_CBC_SHA256"));
    assert!(names(Version::Tls10).contains("TLS_PSK_WITH_AES_128_CBC_SHA256"));
    assert_eq!(names(Version::Tls10), names(Version::Ssl30));
    let most_usual: Vec<_> = suites_for(Version::Tls12).into_iter().take(60).collect();
    assert!(
        most_usual.contains(&suite("TLS_RSA_WITH_RC4_128_MD5"))
            && most_usual.contains(&suite("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"))
    );
}
