use super::*;
use hex::encode;
use std::time::Instant;

/// Quick ones; what is hashed is the same.
const QUICK: Parameters = Parameters {
    argon2_memory_kib: 64,
    argon2_passes: 1,
    argon2_lanes: 1,
    bcrypt_cost: 4,
    scrypt_log_n: 4,
    pbkdf2_iterations: 10,
};

/// Written by passlib 1.7 and argon2-cffi 25.1 for `correct horse`.
const FOREIGN: [&str; 3] = [
    "$pbkdf2-sha256$1000$5Pz/33uv1Zqzdi5lrJWyNg$Ih3Sl4DdBpILFbXXOis8tQIb648YJi.fi4p8gwkmS4o",
    "$scrypt$ln=8,r=8,p=1$7F3LOccYw9h7rxXC+F8rhQ$T6otOqkfLx3G8xnuZ1veSv2AQWeS274fyyNxL/nePMQ",
    "$argon2id$v=19$m=256,t=1,p=4$/9GOlU18QW5a3WyqJTQSGw$EnP9jTCXlXPFpxr62MSQNVvOXtoEeublT+Jckkn5yYg",
];

fn read(hash: &str) -> Stored {
    hash.parse().unwrap()
}

fn is_valid(password: &str, hash: &str) -> bool {
    read(hash).verify(password.as_bytes(), None).unwrap().is_valid
}

/// Vectors of Argon2's reference implementation, versions 19 and 16 and the other variants.
#[test]
fn argon2_as_its_authors_have_it() {
    for hash in [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
    ] {
        assert!(is_valid("password", hash), "{hash}");
        assert!(!is_valid("Password", hash), "{hash}");
    }
}

/// Openwall's vectors, and the two other prefixes that mean the same.
#[test]
fn bcrypt_as_openwall_has_it() {
    for (password, hash) in [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    ] {
        for prefix in ["$2a", "$2b", "$2y"] {
            let hash = hash.replace("$2a", prefix);
            assert!(is_valid(password, &hash), "{hash}");
            assert!(!is_valid("U*V", &hash), "{hash}");
        }
        assert!(hash.replace("$2a", "$2x").parse::<Stored>().is_err(), "the broken variant");
        assert_eq!(read(hash).to_string(), hash.replace("$2a", "$2b"));
    }
}

/// RFC 7914, sections 11 and 12; RFC 6070's case 2 and 4 with SHA-256.
#[test]
fn scrypt_and_pbkdf2_as_specified() {
    let scrypt = |password: &[u8], salt: &[u8], log_n, r, p| {
        encode(Cost::Scrypt { log_n, r, p }.compute(password, salt, 64).unwrap().expose())
    };
    assert_eq!(
        scrypt(b"password", b"NaCl", 10, 8, 16),
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
         2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    );
    assert_eq!(
        scrypt(b"pleaseletmein", b"SodiumChloride", 14, 8, 1),
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
         d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    );
    let pbkdf2 = |password: &[u8], salt: &[u8], iterations, length| {
        encode(Cost::Pbkdf2Sha256 { iterations }.compute(password, salt, length).unwrap().expose())
    };
    assert_eq!(
        pbkdf2(b"passwd", b"salt", 1, 64),
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
         49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
    );
    assert_eq!(
        pbkdf2(b"password", b"salt", 4096, 32),
        "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"
    );
}

#[test]
fn hashes_of_other_programs_are_known() {
    for hash in FOREIGN {
        assert!(is_valid("correct horse", hash), "{hash}");
        assert!(!is_valid("correct house", hash), "{hash}");
    }
}

#[test]
fn a_new_hash_is_known_again_and_is_new_each_time() {
    let pepper = Pepper::new(&[5; 32]);
    for algorithm in Algorithm::ALL {
        for pepper in [None, Some(&pepper)] {
            let hash = || hash(algorithm, &QUICK, "Passwort-ß".as_bytes(), pepper).unwrap();
            let (first, second) = (hash(), hash());
            assert_ne!(first, second);
            let stored = read(&first);
            assert_eq!(stored.to_string(), first);
            assert_eq!(stored.is_peppered(), first.starts_with("$pepper$"));
            assert!(stored.verify("Passwort-ß".as_bytes(), pepper).unwrap().is_valid, "{first}");
            assert!(!stored.verify("Passwort-ss".as_bytes(), pepper).unwrap().is_valid, "{first}");
            assert!(!stored.needs_rehash(&QUICK), "{first}");
        }
    }
}

#[test]
fn a_peppered_hash_needs_its_pepper() {
    let (pepper, other) = (Pepper::new(&[5; 32]), Pepper::new(&[6; 32]));
    let hash = hash(Algorithm::Argon2id, &QUICK, b"password", Some(&pepper)).unwrap();
    assert!(matches!(read(&hash).verify(b"password", None), Err(Error::Input(_))));
    assert!(!read(&hash).verify(b"password", Some(&other)).unwrap().is_valid);
    let bare = hash.strip_prefix("$pepper").unwrap();
    assert!(!read(bare).verify(b"password", Some(&pepper)).unwrap().is_valid);
}

#[test]
fn a_weaker_hash_needs_a_new_one_and_a_stronger_does_not() {
    let needs = |hash: &str, parameters: &Parameters| read(hash).needs_rehash(parameters);
    for algorithm in Algorithm::ALL {
        let made = hash(algorithm, &QUICK, b"password", None).unwrap();
        let stronger = match algorithm {
            Algorithm::Argon2id => Parameters { argon2_memory_kib: 65, ..QUICK },
            Algorithm::Bcrypt => Parameters { bcrypt_cost: 5, ..QUICK },
            Algorithm::Scrypt => Parameters { scrypt_log_n: 5, ..QUICK },
            Algorithm::Pbkdf2Sha256 => Parameters { pbkdf2_iterations: 11, ..QUICK },
        };
        assert!(needs(&made, &stronger), "{made}");
        let best = hash(algorithm, &stronger, b"password", None).unwrap();
        assert!(!needs(&best, &QUICK), "{best}");
    }
    let more_passes = Parameters { argon2_passes: 2, ..QUICK };
    assert!(needs(&hash(Algorithm::Argon2id, &QUICK, b"password", None).unwrap(), &more_passes));
    // Argon2i, the first version, a short salt, a short output.
    assert!(needs(
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        &QUICK
    ));
    assert!(needs(
        "$argon2id$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        &QUICK
    ));
    assert!(needs(
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        &QUICK
    ));
    assert!(needs("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEg", &QUICK));
}

#[test]
fn memory_is_told_before_it_is_used() {
    assert_eq!(QUICK.memory_bytes(Algorithm::Argon2id), 64 * 1024);
    let scrypt = Parameters { scrypt_log_n: 17, ..QUICK };
    assert_eq!(scrypt.memory_bytes(Algorithm::Scrypt), (131_072 + 1) * 1024);
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert_eq!(read(hash).memory_bytes(), 64 * 1024 * 1024);
}

#[test]
fn costly_hashes_are_refused_at_once() {
    let begun = Instant::now();
    for hash in [
        "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=8,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=65536,t=1,p=65536$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=65536,t=1,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$scrypt$ln=63,r=8,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$scrypt$ln=10,r=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$scrypt$ln=16,r=8,p=4294967295$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$scrypt$ln=255,r=4294967295,p=64$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$pbkdf2-sha256$i=4294967295$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$pbkdf2-sha256$i=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ] {
        let refused = hash.parse::<Stored>().map(|stored| stored.to_string());
        let Err(Error::Input(problem)) = refused else { panic!("{hash} was read") };
        assert!(problem.contains("must be from"), "{hash}: {problem}");
    }
    assert!(begun.elapsed().as_secs() < 1, "nothing was computed");
}

#[test]
fn what_is_no_hash_is_refused() {
    for hash in [
        "",
        "$",
        "password",
        "$pepper",
        "$pepper$",
        "$pepper$pepper$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=+64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=20$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1$c2Fs$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ=$nf65EOgLrQMR/uIPnA4rEg",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg$more",
        "$pbkdf2-sha256$i=10,l=33$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$pbkdf2-sha256$$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
        "$2b$05$é",
    ] {
        let read = hash.parse::<Stored>().map(|stored| stored.to_string());
        assert!(matches!(read, Err(Error::Input(_))), "{hash}: {read:?}");
    }
    let long = format!("$argon2id$v=19$m=64,t=1,p=1${}$nf65EOgLrQMR/uIPnA4rEg", "A".repeat(600));
    assert!(long.parse::<Stored>().is_err());
}

#[test]
fn passwords_that_cannot_be_hashed_whole_are_refused() {
    let refused =
        |algorithm, password: &[u8]| matches!(hash(algorithm, &QUICK, password, None), Err(Error::Input(_)));
    for algorithm in Algorithm::ALL {
        assert!(refused(algorithm, b""), "{algorithm:?}");
        assert!(refused(algorithm, &[b'x'; MAX_PASSWORD + 1]), "{algorithm:?}");
        let is_bcrypt = algorithm == Algorithm::Bcrypt;
        assert_eq!(refused(algorithm, &[b'x'; MAX_PASSWORD]), is_bcrypt, "{algorithm:?}");
        assert_eq!(refused(algorithm, &[b'x'; 73]), is_bcrypt, "{algorithm:?}");
        assert_eq!(refused(algorithm, b"x\0y"), is_bcrypt, "{algorithm:?}");
        assert!(!refused(algorithm, &[b'x'; 72]), "{algorithm:?}");
    }
    // All 72 bytes count, and none more is ignored.
    let made = hash(Algorithm::Bcrypt, &QUICK, &[b'x'; 72], None).unwrap();
    assert!(!is_valid(&"x".repeat(71), &made));
    assert!(matches!(read(&made).verify(&[b'x'; 73], None), Err(Error::Input(_))));
}

#[test]
fn a_key_is_made_of_a_passphrase() {
    let key = argon2id_key(b"password", b"somesalt", 256, 2, 2, 32).unwrap();
    assert_eq!(encode(key.expose()), "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037");
    assert!(matches!(argon2id_key(b"password", b"salt", 256, 2, 1, 32), Err(Error::Input(_))));
    assert!(matches!(argon2id_key(b"password", b"somesalt", 1, 2, 1, 32), Err(Error::Input(_))));
}
