use super::*;
use crate::digest::Algorithm;
use ::rsa::{
    Oaep, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey,
    pkcs8::{DecodePrivateKey, DecodePublicKey},
    sha2::{self, Digest},
};
use std::sync::LazyLock;

const DIGESTS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
const MESSAGE: Message<'_> = Message::Whole(b"a message");

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(Size::Rsa2048).unwrap());
static OTHER: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(Size::Rsa2048).unwrap());

fn peer() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs8_der(KEY.to_pkcs8().expose()).unwrap()
}

fn peer_public() -> RsaPublicKey {
    RsaPublicKey::from_public_key_der(&KEY.public().to_spki_der()).unwrap()
}

#[test]
fn encrypts_up_to_the_limit_and_decrypts() {
    let most = KEY.public().max_plaintext();
    assert_eq!(most, 2048 / 8 - 2 * 32 - 2);
    for length in [0, 1, 32, most] {
        let ciphertext = KEY.public().encrypt_oaep(&vec![7; length]).unwrap();
        assert_eq!(KEY.decrypt_oaep(&ciphertext).unwrap().expose(), vec![7; length]);
    }
    let error = KEY.public().encrypt_oaep(&vec![7; most + 1]).unwrap_err();
    assert!(matches!(&error, Error::Input(text) if text.contains("190 bytes at most")), "{error}");
}

#[test]
fn a_peer_decrypts_what_was_encrypted() {
    let ciphertext = KEY.public().encrypt_oaep(b"secret").unwrap();
    assert_eq!(peer().decrypt(Oaep::<sha2::Sha256>::new(), &ciphertext).unwrap(), b"secret");
}

#[test]
fn other_digests_are_between_those_that_have_agreed_on_them() {
    let digests = [OaepDigest::Sha1, OaepDigest::Sha256, OaepDigest::Sha384, OaepDigest::Sha512];
    for digest in digests {
        let ciphertext = KEY.public().encrypt_oaep_with(digest, b"secret").unwrap();
        for other in digests {
            let decrypted = KEY.decrypt_oaep_with(other, &ciphertext);
            let expected =
                if other == digest { Ok(Secret::from(b"secret".to_vec())) } else { Err(Error::Decryption) };
            assert_eq!(decrypted, expected, "{digest:?} {other:?}");
        }
        assert!(matches!(KEY.public().encrypt_oaep_with(digest, &[7; 256]), Err(Error::Input(_))));
    }
    let ciphertext = KEY.public().encrypt_oaep_with(OaepDigest::Sha384, b"secret").unwrap();
    assert_eq!(peer().decrypt(Oaep::<sha2::Sha384>::new(), &ciphertext).unwrap(), b"secret");
    let ciphertext = KEY.public().encrypt_oaep_with(OaepDigest::Sha512, b"secret").unwrap();
    assert_eq!(peer().decrypt(Oaep::<sha2::Sha512>::new(), &ciphertext).unwrap(), b"secret");
}

#[test]
fn every_failed_decryption_is_the_same() {
    let ciphertext = KEY.public().encrypt_oaep(b"secret").unwrap();
    let mut wrong = vec![
        Vec::new(),
        ciphertext[1..].to_vec(),
        [&[0], &ciphertext[..]].concat(),
        [&ciphertext[..], &[0]].concat(),
        vec![0; 256],
        vec![0xff; 256],
        [vec![0; 255], vec![1]].concat(),
        OTHER.public().encrypt_oaep(b"secret").unwrap(),
        KEY.sign_pkcs1v15(Algorithm::Sha256, MESSAGE).unwrap(),
    ];
    wrong.extend((0..ciphertext.len()).step_by(5).map(|at| {
        let mut changed = ciphertext.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    }));
    // A signature decrypts to what was padded for it: paddings that begin right and are wrong further on.
    for wrong in wrong {
        assert_eq!(KEY.decrypt_oaep(&wrong), Err(Error::Decryption));
    }
    assert_eq!(Error::Decryption.to_string(), "could not decrypt");
}

#[test]
fn salts_of_every_kind() {
    for digest in DIGESTS {
        for salt in [Salt::Digest, Salt::Max, Salt::Bytes(0), Salt::Bytes(20)] {
            let signature = KEY.sign_pss(digest, salt, MESSAGE).unwrap();
            let verify = |salt| KEY.public().verify_pss(digest, salt, MESSAGE, &signature).unwrap();
            assert!(verify(Some(salt)), "{digest:?} {salt:?}");
            assert!(!verify(Some(Salt::Bytes(21))), "{digest:?} {salt:?}");
            assert_eq!(verify(None), matches!(salt, Salt::Digest | Salt::Max), "{digest:?} {salt:?}");
        }
        assert_eq!(pss_of_digest_length(digest), Ok(true));
    }
}

fn pss_of_digest_length(digest: Algorithm) -> Result<bool, Error> {
    let length = u16::try_from(Sha2::of(digest)?.length()).unwrap();
    let signature = KEY.sign_pss(digest, Salt::Bytes(length), MESSAGE)?;
    KEY.public().verify_pss(digest, Some(Salt::Digest), MESSAGE, &signature)
}

#[test]
fn the_longest_salt_and_one_more() {
    for (digest, most) in [(Algorithm::Sha256, 222), (Algorithm::Sha512, 190)] {
        let signature = KEY.sign_pss(digest, Salt::Bytes(most), MESSAGE).unwrap();
        assert!(KEY.public().verify_pss(digest, Some(Salt::Max), MESSAGE, &signature).unwrap());
        let signing = KEY.sign_pss(digest, Salt::Bytes(most + 1), MESSAGE).map(drop);
        let verifying =
            KEY.public().verify_pss(digest, Some(Salt::Bytes(u16::MAX)), MESSAGE, &signature).map(drop);
        for refused in [signing, verifying] {
            assert!(
                matches!(&refused, Err(Error::Input(text)) if text.contains("bytes at most")),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_peer_verifies_signatures_and_makes_them() {
    let digest = sha2::Sha256::digest(b"a message");
    let pss = KEY.sign_pss(Algorithm::Sha256, Salt::Max, MESSAGE).unwrap();
    peer_public().verify(Pss::<sha2::Sha256>::new_with_salt(222), &digest, &pss).unwrap();
    let pkcs1 = KEY.sign_pkcs1v15(Algorithm::Sha256, Message::Digest(&digest)).unwrap();
    peer_public().verify(Pkcs1v15Sign::new::<sha2::Sha256>(), &digest, &pkcs1).unwrap();
    let theirs = peer().sign(Pkcs1v15Sign::new::<sha2::Sha256>(), &digest).unwrap();
    assert!(KEY.public().verify_pkcs1v15(Algorithm::Sha256, MESSAGE, &theirs).unwrap());
    assert_eq!(theirs, pkcs1, "PKCS#1 v1.5 has no randomness");
}

#[test]
fn a_signature_of_something_else_does_not_fit() {
    let signature = KEY.sign_pkcs1v15(Algorithm::Sha384, MESSAGE).unwrap();
    let verify = |key: &PrivateKey, digest, message, signature: &[u8]| {
        key.public().verify_pkcs1v15(digest, message, signature).unwrap()
    };
    assert!(verify(&KEY, Algorithm::Sha384, MESSAGE, &signature));
    assert!(!verify(&OTHER, Algorithm::Sha384, MESSAGE, &signature));
    assert!(!verify(&KEY, Algorithm::Sha256, MESSAGE, &signature));
    assert!(!verify(&KEY, Algorithm::Sha384, Message::Whole(b"another"), &signature));
    assert!(!verify(&KEY, Algorithm::Sha384, MESSAGE, &signature[1..]));
    assert!(!KEY.public().verify_pss(Algorithm::Sha384, None, MESSAGE, &signature).unwrap());
}

#[test]
fn digests_that_are_broken_or_of_another_length_are_refused() {
    for digest in Algorithm::ALL.into_iter().filter(|digest| !DIGESTS.contains(digest)) {
        let refused = KEY.sign_pss(digest, Salt::Max, MESSAGE);
        assert!(matches!(&refused, Err(Error::Input(text)) if text.contains("SHA-256, SHA-384 or SHA-512")));
        assert!(matches!(KEY.public().verify_pkcs1v15(digest, MESSAGE, &[]), Err(Error::Input(_))));
    }
    let short = KEY.sign_pkcs1v15(Algorithm::Sha256, Message::Digest(&[0; 31]));
    assert_eq!(short, Err(Error::Input("the digest must have 32 bytes, not 31".into())));
}

#[test]
fn a_key_survives_pkcs8_and_spki() {
    let again = PrivateKey::from_pkcs8(KEY.to_pkcs8().expose()).unwrap();
    let public = PublicKey::from_spki(&KEY.public().to_spki_der()).unwrap();
    let ciphertext = public.encrypt_oaep(b"secret").unwrap();
    assert_eq!(again.decrypt_oaep(&ciphertext).unwrap().expose(), b"secret");
    assert_eq!((again.bits(), public.bits()), (2048, 2048));
}

#[test]
fn keys_that_are_weak_or_do_not_fit_together_are_refused() {
    let weak = pem::private_key_from(include_bytes!("../../testdata/rsa_1024.pem"), None).unwrap();
    let refused = PrivateKey::from_pkcs8(weak.pkcs8.expose()).unwrap_err();
    assert!(refused.to_string().contains("2048 to 4096 bits, and this one has 1024"), "{refused}");

    let der = KEY.to_pkcs8();
    for at in (60..der.expose().len()).step_by(97) {
        let mut changed = der.expose().to_vec();
        changed[at] ^= 4;
        assert!(matches!(PrivateKey::from_pkcs8(&changed), Err(Error::Key(_))), "byte {at}");
    }
    let curve = crate::ecdsa::PrivateKey::generate(crate::ecdsa::Curve::P256).unwrap().to_pkcs8().unwrap();
    let refused = PrivateKey::from_pkcs8(curve.expose()).unwrap_err();
    assert!(refused.to_string().contains("an ECDSA key on P-256, not RSA"), "{refused}");
}

#[test]
fn debug_tells_no_secret() {
    assert_eq!(format!("{:?}", *KEY), "PrivateKey { bits: 2048, .. }");
    assert_eq!(format!("{:?}", KEY.public()), "PublicKey { bits: 2048, .. }");
}
