use super::*;
use patchbay_chassis::ByteSize;

fn passwords(memory: ByteSize) -> Passwords {
    let config = config::Passwords {
        argon2_memory: ByteSize::kib(64),
        argon2_passes: 1,
        pbkdf2_iterations: 1000,
        bcrypt_cost: 4,
        scrypt_log_n: 10,
        ..config::Passwords::default()
    };
    let limits = config::Pool { threads: 1, memory, queue: 8 };
    let root = RootKey::new(Secret::new(vec![7; 32])).unwrap();
    Passwords::new(&config, &limits, &root, &Pool::start(&limits))
}

#[tokio::test]
async fn a_password_is_known_again_with_and_without_the_pepper() {
    let passwords = passwords(ByteSize::mib(16));
    for algorithm in Algorithm::ALL {
        for pepper in [Pepper::With, Pepper::Without] {
            let hash = passwords.hash(algorithm, "correct horse", pepper).await.unwrap();
            assert_eq!(hash.starts_with("$pepper$"), pepper == Pepper::With, "{hash}");
            let right = passwords.verify("correct horse", &hash).await.unwrap();
            assert_eq!(right, Verdict { is_valid: true, needs_rehash: false }, "{hash}");
            let wrong = passwords.verify("correct house", &hash).await.unwrap();
            assert_eq!(wrong, Verdict { is_valid: false, needs_rehash: false }, "{hash}");
        }
    }
}

#[tokio::test]
async fn a_pepper_of_another_root_key_does_not_fit() {
    let first = passwords(ByteSize::mib(16));
    let hash = first.hash(Algorithm::Argon2id, "correct horse", Pepper::With).await.unwrap();
    let root = RootKey::new(Secret::new(vec![8; 32])).unwrap();
    let limits = config::Pool { threads: 1, ..config::Pool::default() };
    let second = Passwords::new(&config::Passwords::default(), &limits, &root, &Pool::start(&limits));
    assert!(!second.verify("correct horse", &hash).await.unwrap().is_valid);
    // Nor does the mark alone make one.
    assert!(!first.verify("correct horse", hash.strip_prefix("$pepper").unwrap()).await.unwrap().is_valid);
}

#[tokio::test]
async fn refuses_what_costs_too_much_and_says_which_field() {
    let passwords = passwords(ByteSize::kib(128));
    let field_of = |error: Error| match error {
        Error::BadRequest { field, problem } => (field, problem),
        other => panic!("{other}"),
    };
    let greedy = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA";
    let (field, problem) = field_of(passwords.verify("x", greedy).await.unwrap_err());
    assert!(field == "hash" && problem.contains("pool.memory"), "{problem}");
    let slow = "$argon2id$v=19$m=8,t=4294967295,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(field_of(passwords.verify("x", slow).await.unwrap_err()).0, "hash");
    assert_eq!(field_of(passwords.verify("x", "no hash").await.unwrap_err()).0, "hash");
    let (field, problem) = field_of(passwords.hash(Algorithm::Scrypt, "x", Pepper::With).await.unwrap_err());
    assert!(field == "algorithm" && problem.contains("pool.memory"), "{problem}");
    for password in [String::new(), "x".repeat(1025)] {
        assert_eq!(field_of(passwords.verify_nothing(&password).await.unwrap_err()).0, "password");
        let (field, problem) =
            field_of(passwords.hash(Algorithm::Argon2id, &password, Pepper::Without).await.unwrap_err());
        assert_eq!(field, "password", "{problem}");
    }
    let long = "x".repeat(73);
    assert_eq!(
        field_of(passwords.hash(Algorithm::Bcrypt, &long, Pepper::Without).await.unwrap_err()).0,
        "password"
    );
    // With the pepper, bcrypt gets 44 characters whatever the length.
    let hash = passwords.hash(Algorithm::Bcrypt, &long, Pepper::With).await.unwrap();
    assert!(passwords.verify(&long, &hash).await.unwrap().is_valid);
}
