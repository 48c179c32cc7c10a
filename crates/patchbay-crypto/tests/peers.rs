//! The `aes-gcm` crate opens what is sealed here, and the other way round.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aes_gcm::{
    Aes128Gcm, Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use patchbay_crypto::aead::{Algorithm, Key};
use proptest::prelude::*;

fn agree<Peer: Aead + KeyInit>(
    algorithm: Algorithm,
    material: &[u8],
    nonce: &[u8],
    aad: &[u8],
    message: &[u8],
) {
    let (ours, peer) = (Key::new(algorithm, material).unwrap(), Peer::new_from_slice(material).unwrap());
    let mut sealed = Vec::new();
    ours.seal_into(aad, message, &mut sealed).unwrap();
    let (their_nonce, body) = sealed.split_at(12);
    let opened = peer.decrypt(their_nonce.try_into().unwrap(), Payload { msg: body, aad }).unwrap();
    assert_eq!(opened, message);
    let body = peer.encrypt(nonce.try_into().unwrap(), Payload { msg: message, aad }).unwrap();
    let sealed = [nonce, &body].concat();
    assert_eq!(ours.open(aad, &sealed).unwrap().expose(), message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn aes_gcm_agrees(
        material in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in proptest::collection::vec(any::<u8>(), 0..50),
        message in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        agree::<Aes128Gcm>(Algorithm::Aes128Gcm, &material[..16], &nonce, &aad, &message);
        agree::<Aes256Gcm>(Algorithm::Aes256Gcm, &material, &nonce, &aad, &message);
    }
}
