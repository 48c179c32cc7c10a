use super::*;

/// RFC 8032, section 7.1: seed, public key, message, signature.
const VECTORS: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn the_vectors_of_rfc_8032() {
    for vector in VECTORS {
        let [seed, public, message, signature] = vector.map(|text| hex::decode(text).unwrap());
        let key = PrivateKey::from_seed(&seed).unwrap();
        assert_eq!(key.public().as_bytes().as_slice(), public);
        assert_eq!(key.sign(&message).unwrap(), signature);
        assert!(key.public().verify(&message, &signature));
        assert!(!key.public().verify(b"another", &signature));
        assert_eq!(key.seed().unwrap().expose(), seed);
    }
}

#[test]
fn a_number_that_is_not_reduced_is_refused() {
    let key = PrivateKey::generate().unwrap();
    let mut signature = key.sign(b"a message").unwrap();
    // The order of the base point, little endian: S + L is the same number, and another signature of the same message.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert!(!key.public().verify(b"a message", &signature));
}

#[test]
fn weak_public_keys_are_refused() {
    let weak = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for text in weak {
        let refused = PublicKey::from_bytes(&hex::decode(text).unwrap()).unwrap_err();
        assert!(refused.to_string().contains("small order"), "{text}");
    }
    for vector in VECTORS {
        PublicKey::from_bytes(&hex::decode(vector[1]).unwrap()).unwrap();
    }
}

#[test]
fn a_key_survives_pkcs8_and_spki() {
    let key = PrivateKey::generate().unwrap();
    let again = PrivateKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).unwrap();
    let public = PublicKey::from_spki(&again.public().to_spki_der()).unwrap();
    assert!(public.verify(b"a message", &key.sign(b"a message").unwrap()));
    let openssl = pem::private_key_from(include_bytes!("../testdata/ed25519_pkcs8.pem"), None).unwrap();
    assert_eq!(openssl.kind, pem::Kind::Ed25519);
    assert_eq!(PrivateKey::from_pkcs8(openssl.pkcs8.expose()).unwrap().to_pkcs8().unwrap(), openssl.pkcs8);
}

#[test]
fn other_lengths_are_refused() {
    assert!(matches!(PrivateKey::from_seed(&[1; 31]), Err(Error::Key(_))));
    assert!(matches!(PrivateKey::from_seed(&[1; 64]), Err(Error::Key(_))));
    assert!(matches!(PublicKey::from_bytes(&[1; 33]), Err(Error::Key(_))));
    let key = PrivateKey::generate().unwrap();
    let signature = key.sign(b"a message").unwrap();
    assert!(!key.public().verify(b"a message", &signature[..63]));
    assert!(!key.public().verify(b"a message", &[&signature[..], &[0]].concat()));
}

#[test]
fn debug_tells_no_secret() {
    assert_eq!(format!("{:?}", PrivateKey::from_seed(&[7; 32]).unwrap()), "PrivateKey { .. }");
}
