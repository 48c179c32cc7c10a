use super::*;
use hex::{decode, encode};
use proptest::prelude::*;
use shake::{
    Shake128,
    digest::{ExtendableOutput, Update, XofReader},
};

impl Key {
    /// Seals with a given nonce, and leaves that out.
    fn seal_with(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.cipher {
            Cipher::Direct(key) => gcm::seal(key, nonce.try_into().unwrap(), aad, plaintext, &mut out),
            Cipher::Extended(key) => key.seal(nonce.try_into().unwrap(), aad, plaintext, &mut out),
            Cipher::CbcHmac(key) => key.seal(nonce.try_into().unwrap(), aad, plaintext, &mut out),
        }
        .unwrap();
        assert_eq!(out.drain(..nonce.len()).as_slice(), nonce);
        out
    }
}

fn check(algorithm: Algorithm, key: &str, nonce: &[u8], aad: &[u8], plaintext: &[u8], sealed: &str) {
    let key = Key::new(algorithm, &decode(key).unwrap()).unwrap();
    assert_eq!(encode(key.seal_with(nonce, aad, plaintext)), sealed, "{algorithm:?}");
    let message = [nonce, &decode(sealed).unwrap()].concat();
    assert_eq!(key.open(aad, &message).unwrap().expose(), plaintext, "{algorithm:?}");
}

/// The specification of GCM, appendix B, test cases 4, 10 and 16.
#[test]
fn aes_gcm_as_specified() {
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let nonce = decode("cafebabefacedbaddecaf888").unwrap();
    let aad = decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
    let plaintext = decode(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    )
    .unwrap();
    let cases = [
        (
            Algorithm::Aes128Gcm,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b39\
             6a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            Algorithm::Aes192Gcm,
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f4718e2448b\
             2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c",
        ),
        (
            Algorithm::Aes256Gcm,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e63\
             93ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ];
    for (algorithm, sealed) in cases {
        check(algorithm, &key[..2 * algorithm.key_length()], &nonce, &aad, &plaintext, sealed);
    }
}

/// RFC 8439, section 2.8.2.
#[test]
fn chacha20_poly1305_as_specified() {
    check(
        Algorithm::ChaCha20Poly1305,
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        &decode("070000004041424344454647").unwrap(),
        &decode("50515253c0c1c2c3c4c5c6c7").unwrap(),
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29\
         05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b\
         61161ae10b594f09e26a7e902ecbd0600691",
    );
}

/// RFC 7518, appendix B.3.
#[test]
fn a256cbc_hs512_as_specified() {
    let key: Vec<u8> = (0..64).collect();
    check(
        Algorithm::Aes256CbcHmacSha512,
        &encode(key),
        &decode("1af38c2dc2b96ffdd86694092341bc04").unwrap(),
        b"The second principle of Auguste Kerckhoffs",
        b"A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy without inconvenience",
        "4affaaadb78c31c5da4b1b590d10ffbd3dd8d5d302423526912da037ecbcc7bd822c301dd67c373bccb584ad3e9279c2e6d12a1374b77f07\
         7553df829410446b36ebd97066296ae6427ea75c2e0846a11a09ccf5370dc80bfecbad28c73f09b3a3b75e662a2594410ae496b2e2e6609e\
         31e6e02cc837f053d21f37ff4f51950bbe2638d09dd7a4930930806d0703b1f64dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816d\
         bc1b267761955bc5",
    );
}

/// C2SP XAES-256-GCM, the two vectors: one for each bit that CMAC's doubling may carry out.
#[test]
fn xaes_256_gcm_as_specified() {
    let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
    let seal = |byte: &str, aad, sealed| {
        check(Algorithm::Xaes256Gcm, &byte.repeat(32), nonce, aad, b"XAES-256-GCM", sealed);
    };
    seal("01", b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    seal("03", b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

/// C2SP XAES-256-GCM, the accumulated vectors: keys, nonces, messages and associated data of all lengths from SHAKE128, and the
/// hash of all that is sealed.
fn accumulate(iterations: usize) -> String {
    fn take(stream: &mut impl XofReader, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        stream.read(&mut bytes);
        bytes
    }
    let mut stream = Shake128::default().finalize_xof();
    let mut all = Shake128::default();
    for _ in 0..iterations {
        let key = Key::new(Algorithm::Xaes256Gcm, &take(&mut stream, 32)).unwrap();
        let nonce = take(&mut stream, 24);
        let length = take(&mut stream, 1)[0].into();
        let plaintext = take(&mut stream, length);
        let length = take(&mut stream, 1)[0].into();
        let aad = take(&mut stream, length);
        let sealed = key.seal_with(&nonce, &aad, &plaintext);
        assert_eq!(key.open(&aad, &[nonce, sealed.clone()].concat()).unwrap().expose(), plaintext);
        all.update(&sealed);
    }
    encode(take(&mut all.finalize_xof(), 32))
}

#[test]
fn xaes_256_gcm_over_ten_thousand_messages() {
    assert_eq!(accumulate(10_000), "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

#[test]
fn xaes_256_gcm_over_a_million_messages() {
    assert_eq!(accumulate(1_000_000), "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15");
}

fn key(algorithm: Algorithm) -> Key {
    Key::new(algorithm, &vec![9; algorithm.key_length()]).unwrap()
}

#[test]
fn every_changed_bit_and_every_cut_give_the_same_error() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let mut sealed = Vec::new();
        key.seal_into(b"aad", b"attack at dawn", &mut sealed).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(b"aad", &changed), Err(Error::Decryption), "{algorithm:?}, bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(
                key.open(b"aad", &sealed[..length]),
                Err(Error::Decryption),
                "{algorithm:?}, {length} bytes"
            );
        }
        let longer = [&*sealed, &[0]].concat();
        assert_eq!(key.open(b"aad", &longer), Err(Error::Decryption), "{algorithm:?}");
        assert_eq!(key.open(b"aae", &sealed), Err(Error::Decryption), "{algorithm:?}");
        let other = Key::new(algorithm, &vec![8; algorithm.key_length()]).unwrap();
        assert_eq!(other.open(b"aad", &sealed), Err(Error::Decryption), "{algorithm:?}");
        assert_eq!(key.open(b"aad", &sealed).unwrap().expose(), b"attack at dawn", "{algorithm:?}");
    }
}

#[test]
fn algorithms_do_not_open_each_others_messages() {
    let same_length = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.key_length() == 32);
    let keys: Vec<Key> = same_length.map(key).collect();
    for (index, sealing) in keys.iter().enumerate() {
        let mut sealed = Vec::new();
        sealing.seal_into(b"", b"message", &mut sealed).unwrap();
        for (other, opening) in keys.iter().enumerate() {
            assert_eq!(opening.open(b"", &sealed).is_ok(), index == other, "{:?}", opening.algorithm());
        }
    }
}

#[test]
fn material_of_another_length_is_refused() {
    for algorithm in Algorithm::ALL {
        for length in (0..80).filter(|length| *length != algorithm.key_length()) {
            assert!(
                matches!(Key::new(algorithm, &vec![0; length]), Err(Error::Key(_))),
                "{algorithm:?}, {length}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_sealed_opens(
        aad in proptest::collection::vec(any::<u8>(), 0..100),
        plaintext in proptest::collection::vec(any::<u8>(), 0..2000),
        before in proptest::collection::vec(any::<u8>(), 0..10),
    ) {
        for algorithm in Algorithm::ALL {
            let key = key(algorithm);
            let mut out = before.clone();
            key.seal_into(&aad, &plaintext, &mut out).unwrap();
            let sealed = out.strip_prefix(&*before).unwrap();
            let overhead = sealed.len() - plaintext.len();
            prop_assert!(overhead <= key.overhead() && overhead + 16 > key.overhead());
            let opened = key.open(&aad, sealed).unwrap();
            prop_assert_eq!(opened.expose(), &*plaintext);
        }
    }
}
