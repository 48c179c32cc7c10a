use super::*;

/// The examples of FIPS 180-4, FIPS 202, RFC 1321 and RFC 7693: `abc`, and a million `a`.
/// Digests of `abc` and of a million times `a`, from FIPS 180-4, FIPS 202, RFC 1321 and RFC 7693.
const PUBLISHED: [(Algorithm, &str, &str); 12] = [
    (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72", "7707d6ae4e027c70eea2a935c2296f21"),
    (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    (
        Algorithm::Sha224,
        "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67",
    ),
    (
        Algorithm::Sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ),
    (
        Algorithm::Sha384,
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
         8086072ba1e7cc2358baeca134c825a7",
        "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b\
         07b8b3dc38ecc4ebae97ddd87f3d8985",
    ),
    (
        Algorithm::Sha512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb\
         de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
    ),
    (
        Algorithm::Sha3_224,
        "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
        "d69335b93325192e516a912e6d19a15cb51c6ed5c15243e7a7fd653c",
    ),
    (
        Algorithm::Sha3_256,
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        "5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1",
    ),
    (
        Algorithm::Sha3_384,
        "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2\
         98d88cea927ac7f539f1edf228376d25",
        "eee9e24d78c1855337983451df97c8ad9eedf256c6334f8e948d252d5e0e7684\
         7aa0774ddb90a842190d2c558b4b8340",
    ),
    (
        Algorithm::Sha3_512,
        "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
         10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        "3c3a876da14034ab60627c077bb98f7e120a2a5370212dffb3385a18d4f38859\
         ed311d0a9d5141ce9cc5c66ee689b266a8aa18ace8282a0e0db596c90b0a7b87",
    ),
    (
        Algorithm::Blake2b512,
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
         7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        "98fb3efb7206fd19ebf69b6f312cf7b64e3b94dbe1a17107913975a793f177e1\
         d077609d7fba363cbba00d05f7aa4e4fa8715d6428104c0a75643b0ff3fd3eaf",
    ),
    (
        Algorithm::Blake2s256,
        "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
        "bec0c0e6cde5b67acb73b81f79a67a4079ae1c60dac9d2661af18e9f8b50dfa5",
    ),
];

#[test]
fn as_specified() {
    let million = vec![b'a'; 1_000_000];
    for (algorithm, abc, many) in PUBLISHED {
        assert_eq!(hex::encode(algorithm.digest(b"abc")), abc, "{algorithm}");
        assert_eq!(hex::encode(algorithm.digest(&million)), many, "{algorithm}");
    }
}

#[test]
fn pieces_of_any_size_give_the_same_digest() {
    let message: Vec<u8> =
        (0..5000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    for algorithm in Algorithm::ALL {
        for size in [1, 7, 63, 64, 65, 128, 1000, 5000] {
            let mut context = Context::new(algorithm);
            context.update(&[]);
            for piece in message.chunks(size) {
                context.update(piece);
            }
            assert_eq!(context.algorithm(), algorithm);
            assert_eq!(context.clone().finish(), algorithm.digest(&message), "{algorithm}, {size}");
        }
        assert_eq!(algorithm.digest(b"").len(), algorithm.output_length(), "{algorithm}");
    }
}

#[test]
fn names_are_read_as_people_write_them() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(algorithm.name().to_uppercase().parse(), Ok(algorithm));
        assert_eq!(algorithm.short().parse(), Ok(algorithm));
        assert_eq!(algorithm.is_unsafe(), ["md5", "sha1"].contains(&algorithm.name()));
    }
    for (name, algorithm) in [
        ("SHA-1", Algorithm::Sha1),
        ("sha256", Algorithm::Sha256),
        ("SHA-256", Algorithm::Sha256),
        ("SHA2_384", Algorithm::Sha384),
        ("sha512", Algorithm::Sha512),
        ("sha3_224", Algorithm::Sha3_224),
        ("SHA3-512", Algorithm::Sha3_512),
        ("blake2b", Algorithm::Blake2b512),
        ("BLAKE2s", Algorithm::Blake2s256),
    ] {
        assert_eq!(name.parse(), Ok(algorithm), "{name}");
    }
    for name in ["", "sha", "sha3", "sha2", "sha257", "sha-256x", "crc32"] {
        assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm(name.to_owned())));
    }
}
