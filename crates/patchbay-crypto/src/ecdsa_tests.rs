use super::*;
use proptest::prelude::*;

const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];
const DIGESTS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
const ENCODINGS: [Encoding; 2] = [Encoding::Asn1, Encoding::P1363];
const MESSAGE: Message<'_> = Message::Whole(b"a message");

#[test]
fn signs_with_every_curve_digest_and_encoding() {
    for curve in CURVES {
        let key = PrivateKey::generate(curve).unwrap();
        for (digest, encoding) in
            DIGESTS.into_iter().flat_map(|digest| ENCODINGS.map(|encoding| (digest, encoding)))
        {
            let signature = key.sign(digest, encoding, MESSAGE).unwrap();
            let verify = |digest, encoding, message| {
                key.public().verify(digest, encoding, message, &signature).unwrap()
            };
            assert!(verify(digest, encoding, MESSAGE), "{curve} {digest:?} {encoding:?}");
            assert!(!verify(digest, encoding, Message::Whole(b"another")), "{curve} {digest:?} {encoding:?}");
            assert!(!ENCODINGS.iter().all(|encoding| verify(digest, *encoding, MESSAGE)));
            assert!(DIGESTS.iter().filter(|other| verify(**other, encoding, MESSAGE)).count() == 1);
            let hashed = aws_lc_rs::digest::digest(Sha2::of(digest).unwrap().algorithm(), b"a message");
            assert!(verify(digest, encoding, Message::Digest(hashed.as_ref())));
        }
    }
}

/// aws-lc-rs verifies these pairs without our bringing the digest to another length.
#[test]
fn a_digest_of_another_length_gives_the_standards_signature() {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA512_ASN1,
        ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, UnparsedPublicKey,
    };
    for (curve, digest, peer) in [
        (Curve::P256, Algorithm::Sha384, &ECDSA_P256_SHA384_ASN1),
        (Curve::P256, Algorithm::Sha512, &ECDSA_P256_SHA512_ASN1),
        (Curve::P384, Algorithm::Sha256, &ECDSA_P384_SHA256_ASN1),
        (Curve::P384, Algorithm::Sha512, &ECDSA_P384_SHA512_ASN1),
        (Curve::P521, Algorithm::Sha256, &ECDSA_P521_SHA256_ASN1),
        (Curve::P521, Algorithm::Sha384, &ECDSA_P521_SHA384_ASN1),
    ] {
        let key = PrivateKey::generate(curve).unwrap();
        let signature = key.sign(digest, Encoding::Asn1, MESSAGE).unwrap();
        let peer = UnparsedPublicKey::new(peer, key.public().to_spki_der());
        assert!(peer.verify(b"a message", &signature).is_ok(), "{curve} {digest:?}");
        assert!(peer.verify(b"another", &signature).is_err(), "{curve} {digest:?}");
    }
}

#[test]
fn the_fixed_form_is_as_long_as_the_order() {
    for (curve, length) in [(Curve::P256, 64), (Curve::P384, 96), (Curve::P521, 132)] {
        let key = PrivateKey::generate(curve).unwrap();
        let signature = key.sign(curve.default_digest(), Encoding::P1363, MESSAGE).unwrap();
        assert_eq!(signature.len(), length);
    }
}

#[test]
fn reads_what_openssl_writes() {
    let files: [(Curve, &[u8], &[u8]); 3] = [
        (
            Curve::P256,
            include_bytes!("../testdata/ec_p256_sec1.pem"),
            include_bytes!("../testdata/ec_p256_pkcs8.pem"),
        ),
        (
            Curve::P384,
            include_bytes!("../testdata/ec_p384_sec1.pem"),
            include_bytes!("../testdata/ec_p384_pkcs8.pem"),
        ),
        (
            Curve::P521,
            include_bytes!("../testdata/ec_p521_sec1.pem"),
            include_bytes!("../testdata/ec_p521_pkcs8.pem"),
        ),
    ];
    for (curve, sec1, pkcs8) in files {
        let [sec1, pkcs8] = [sec1, pkcs8].map(|file| {
            let info = pem::private_key_from(file, None).unwrap();
            assert_eq!(info.kind, pem::Kind::Ecdsa(curve));
            PrivateKey::from_pkcs8(info.pkcs8.expose()).unwrap()
        });
        assert_eq!(sec1.public().to_spki_der(), pkcs8.public().to_spki_der());
    }
}

#[test]
fn a_curve_that_is_not_offered_is_named_in_the_refusal() {
    let refused = pem::private_key_from(include_bytes!("../testdata/ec_secp256k1.pem"), None).unwrap_err();
    assert!(refused.to_string().contains("none of P-256, P-384 and P-521"), "{refused}");
}

#[test]
fn a_public_key_survives_spki_and_a_changed_point_is_refused() {
    let key = PrivateKey::generate(Curve::P384).unwrap();
    let spki = key.public().to_spki_der();
    let public = PublicKey::from_spki(&spki).unwrap();
    let signature = key.sign(Algorithm::Sha384, Encoding::Asn1, MESSAGE).unwrap();
    assert!(public.verify(Algorithm::Sha384, Encoding::Asn1, MESSAGE, &signature).unwrap());
    let mut changed = spki;
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(PublicKey::from_spki(&changed), Err(Error::Key(_))));
}

#[test]
fn md5_and_sha1_are_refused() {
    let key = PrivateKey::generate(Curve::P256).unwrap();
    for digest in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha3_256] {
        assert!(matches!(key.sign(digest, Encoding::Asn1, MESSAGE), Err(Error::Input(_))));
        assert!(matches!(key.public().verify(digest, Encoding::Asn1, MESSAGE, &[]), Err(Error::Input(_))));
    }
}

#[test]
fn debug_tells_no_secret() {
    let key = PrivateKey::generate(Curve::P256).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey { curve: P256, .. }");
}

proptest! {
    #[test]
    fn no_signature_but_the_right_one_fits(signature in proptest::collection::vec(any::<u8>(), 0..160)) {
        let public = &*PUBLIC;
        for encoding in ENCODINGS {
            prop_assert!(!public.verify(Algorithm::Sha256, encoding, MESSAGE, &signature).unwrap());
        }
    }
}

static PUBLIC: std::sync::LazyLock<PublicKey> = std::sync::LazyLock::new(|| {
    PublicKey::from_spki(&PrivateKey::generate(Curve::P256).unwrap().public().to_spki_der()).unwrap()
});
