use super::*;
use proptest::prelude::*;

const CURVES: [Curve; 2] = [Curve::X25519, Curve::P256];
const PKCS8: &[u8] = include_bytes!("../testdata/x25519_pkcs8.pem");
const PUBLIC: &[u8] = include_bytes!("../testdata/x25519_public.pem");
const P256: &[u8] = include_bytes!("../testdata/ec_p256_pkcs8.pem");
const P384: &[u8] = include_bytes!("../testdata/ec_p384_pkcs8.pem");
const ED25519: &[u8] = include_bytes!("../testdata/ed25519_pkcs8.pem");

fn numbered(from: u8) -> Vec<u8> {
    (from..from + 32).collect()
}

fn der(pem: &[u8]) -> Secret {
    pem::private_key_from(pem, None).unwrap().pkcs8
}

/// RFC 7748, section 6.1.
#[test]
fn x25519_as_specified() {
    let key = |text| PrivateKey::from_raw(Curve::X25519, &hex::decode(text).unwrap()).unwrap();
    let alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert_eq!(
        hex::encode(alice.public().raw()),
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    );
    assert_eq!(
        hex::encode(bob.public().raw()),
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    );
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    assert_eq!(hex::encode(alice.shared_point(bob.public()).unwrap().expose()), shared);
    assert_eq!(hex::encode(bob.shared_point(alice.public()).unwrap().expose()), shared);
}

/// The whole derivation, as another implementation of the two agreements and of HKDF has it.
#[test]
fn a_secret_is_as_said() {
    for (curve, expected) in [
        (
            Curve::X25519,
            "7440151cfc873fbf8516facf4d35bc4f77fdf7a78c75161e248e8c0576293c06ad5ad01833dcb447084e87d557861396",
        ),
        (
            Curve::P256,
            "ee8da27925aafe3873d1e12b1bf5f9502f1a130684bfe2356788449f92776219ae3647550f2ee9f82f813a2b4513ad05",
        ),
    ] {
        let one = PrivateKey::from_raw(curve, &numbered(1)).unwrap();
        let other = PrivateKey::from_raw(curve, &numbered(33)).unwrap();
        let secret = one.agree(other.public(), b"chat", 48).unwrap();
        assert_eq!(hex::encode(secret.expose()), expected, "{curve}");
        assert_eq!(other.agree(one.public(), b"chat", 48).unwrap(), secret, "{curve}");
    }
}

#[test]
fn another_info_length_or_key_gives_another_secret() {
    for curve in CURVES {
        let [one, other, third] = [(); 3].map(|()| PrivateKey::generate(curve).unwrap());
        let secret = one.agree(other.public(), b"chat", 32).unwrap();
        assert_ne!(one.agree(other.public(), b"call", 32).unwrap(), secret);
        assert_ne!(one.agree(third.public(), b"chat", 32).unwrap(), secret);
        assert_ne!(third.agree(other.public(), b"chat", 32).unwrap(), secret);
        for length in [16, 64] {
            assert_eq!(one.agree(other.public(), b"chat", length).unwrap().expose().len(), length);
        }
        for length in [0, 15, 65] {
            let error = one.agree(other.public(), b"chat", length).unwrap_err();
            assert!(error.to_string().contains("16 to 64"), "{error}");
        }
        assert!(one.agree(other.public(), &[0; MAX_INFO], 32).is_ok());
        assert!(matches!(one.agree(other.public(), &[0; MAX_INFO + 1], 32), Err(Error::Input(_))));
        // A key agrees with itself as with any other.
        assert!(one.agree(one.public(), b"", 32).is_ok());
    }
}

#[test]
fn keys_of_two_curves_do_not_agree() {
    let [x25519, p256] = CURVES.map(|curve| PrivateKey::generate(curve).unwrap());
    assert!(matches!(x25519.agree(p256.public(), b"", 32), Err(Error::Key(_))));
    assert!(matches!(p256.agree(x25519.public(), b"", 32), Err(Error::Key(_))));
}

/// The seven points of small order, among them 0, 1 and p - 1, and forms of them that are not reduced.
#[test]
fn points_of_small_order_are_refused() {
    let key = PrivateKey::generate(Curve::X25519).unwrap();
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let public = PublicKey::from_raw(Curve::X25519, &hex::decode(point).unwrap()).unwrap();
        let error = key.agree(&public, b"", 32).unwrap_err();
        assert!(error.to_string().contains("everybody knows"), "{point}: {error}");
    }
}

/// The high bit of a key of X25519 is ignored; in the derivation it is not.
#[test]
fn another_form_of_a_key_gives_another_secret() {
    let [one, other] = [(); 2].map(|()| PrivateKey::generate(Curve::X25519).unwrap());
    let mut form = other.public().raw().to_vec();
    form[31] ^= 0x80;
    let form = PublicKey::from_raw(Curve::X25519, &form).unwrap();
    assert_eq!(one.shared_point(&form).unwrap(), one.shared_point(other.public()).unwrap());
    assert_ne!(one.agree(&form, b"", 32).unwrap(), one.agree(other.public(), b"", 32).unwrap());
}

#[test]
fn private_keys_come_back() {
    for curve in CURVES {
        let key = PrivateKey::generate(curve).unwrap();
        let pkcs8 = key.to_pkcs8().unwrap();
        let back = PrivateKey::from_pkcs8(pkcs8.expose()).unwrap();
        assert_eq!(back.public(), key.public());
        assert_eq!(back.curve(), curve);
        assert_eq!(back.to_pkcs8().unwrap(), pkcs8);
        let written = pem::write_pkcs8_pem(pkcs8.expose(), Some("secret")).unwrap();
        let read = pem::private_key_from(written.expose(), Some("secret")).unwrap();
        assert_eq!(read.pkcs8, pkcs8);
        assert!(!format!("{key:?}").contains(&hex::encode(&pkcs8.expose()[16..24])));
    }
}

#[test]
fn files_of_others_are_read() {
    let key = PrivateKey::from_pkcs8(der(PKCS8).expose()).unwrap();
    assert_eq!(key.curve(), Curve::X25519);
    assert_eq!(key.public(), PrivateKey::from_raw(Curve::X25519, &numbered(1)).unwrap().public());
    assert_eq!(key.public(), &PublicKey::parse(Curve::X25519, PUBLIC).unwrap());
    assert_eq!(pem::write_pkcs8_pem(key.to_pkcs8().unwrap().expose(), None).unwrap().expose(), PKCS8);
    assert_eq!(pem::write_spki_pem(&key.public().to_spki_der()).as_bytes(), PUBLIC);
    assert_eq!(PrivateKey::from_pkcs8(der(P256).expose()).unwrap().curve(), Curve::P256);
    for other in [P384, ED25519] {
        assert!(matches!(PrivateKey::from_pkcs8(der(other).expose()), Err(Error::Key(_))));
    }
}

/// Version 2 has the public half too (RFC 8410, section 7).
#[test]
fn a_public_half_that_is_another_keys_is_refused() {
    let [key, other] = [(); 2].map(|()| PrivateKey::generate(Curve::X25519).unwrap());
    let with = |public: &PublicKey| {
        let version_1 = key.to_pkcs8().unwrap();
        let mut document = version_1.expose().to_vec();
        document[1] += 35;
        document[4] = 1;
        document.extend_from_slice(&[0x81, 33, 0]);
        document.extend_from_slice(public.raw());
        PrivateKey::from_pkcs8(&document)
    };
    assert_eq!(with(key.public()).unwrap().public(), key.public());
    assert!(with(other.public()).unwrap_err().to_string().contains("another key's"));
}

#[test]
fn public_keys_are_read_in_every_form() {
    for curve in CURVES {
        let private = PrivateKey::generate(curve).unwrap();
        let public = private.public();
        let spki = public.to_spki_der();
        for form in [public.raw(), &spki, pem::write_spki_pem(&spki).as_bytes()] {
            let read = PublicKey::parse(curve, form).unwrap();
            assert_eq!(&read, public);
            assert_eq!(read.to_spki_der(), spki);
        }
        for other in CURVES.into_iter().filter(|other| *other != curve) {
            assert!(matches!(PublicKey::parse(other, &spki), Err(Error::Key(_))));
            assert!(PublicKey::parse(other, public.raw()).is_err());
        }
        for cut in 0..spki.len() {
            assert!(PublicKey::from_spki(&spki[..cut]).is_err(), "{cut}");
        }
        assert!(PublicKey::from_spki(&[&spki[..], &[0]].concat()).is_err());
    }
    let ecdsa = crate::ecdsa::PrivateKey::generate(crate::ecdsa::Curve::P256).unwrap();
    assert_eq!(
        PublicKey::from_spki(&ecdsa.public().to_spki_der()).unwrap().to_spki_der(),
        ecdsa.public().to_spki_der()
    );
}

#[test]
fn points_that_are_none_are_refused() {
    let key = PrivateKey::generate(Curve::P256).unwrap();
    let point = key.public().raw();
    let mut off = point.to_vec();
    off[64] ^= 1;
    let mut hybrid = point.to_vec();
    hybrid[0] = 6 | (point[64] & 1);
    let compressed = [&[2 | (point[64] & 1)], &point[1..33]].concat();
    for wrong in [&off, &hybrid, &compressed, &vec![0], &vec![], &[&[4_u8][..], &[0; 64]].concat()] {
        let error = PublicKey::from_raw(Curve::P256, wrong).unwrap_err();
        assert!(error.to_string().contains("no uncompressed point"), "{error}");
    }
    assert!(PublicKey::from_raw(Curve::X25519, &[9; 31]).is_err());
    assert!(PublicKey::from_raw(Curve::X25519, &[9; 33]).is_err());
    for zero_or_order in [
        [0; 32].to_vec(),
        hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap(),
    ] {
        assert!(PrivateKey::from_raw(Curve::P256, &zero_or_order).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for curve in CURVES {
            if let Ok(key) = PublicKey::parse(curve, &bytes) {
                prop_assert_eq!(key.raw(), bytes.as_slice());
            }
        }
        prop_assert!(PrivateKey::from_pkcs8(&bytes).is_err());
    }
}
