//! What happens to a key from its making to its end, and what is refused.

use super::*;
use crate::keyring::{Configuration, Creating, Import, Material};

fn config() -> Configuration {
    Configuration::default()
}

async fn configure(replica: &Replica, name: &str, wanted: Configuration) -> Result<Header, Error> {
    replica.keyring.configure(&named(name), wanted, entry("key.config", name)).await
}

#[tokio::test]
async fn every_type_is_made_read_rotated_and_described() {
    let (_world, replica) = World::alone().await;
    for key_type in KeyType::ALL.into_iter().filter(|key_type| !key_type.is_rsa()) {
        let name = key_type.word();
        replica.create(name, key_type).await;
        assert_eq!(replica.rotate(name).await.unwrap().latest, 2);
        let key = replica.keyring.get(name).await.unwrap();
        assert_eq!(key.versions.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(key.encrypting(0).unwrap().number, 2);
        assert_eq!(key.decrypting(1).unwrap().public.is_some(), key_type.is_asymmetric());
        let (header, versions) = replica.keyring.describe(&named(name)).await.unwrap();
        assert_eq!((header.latest, header.key_type, versions.len()), (2, key_type, 2));
        assert_eq!(versions[0].public.is_some(), key_type.is_asymmetric());
    }
    let names: Vec<String> =
        KeyType::ALL.iter().map(|it| it.word().to_owned()).filter(|n| !n.starts_with("rsa")).collect();
    let page = replica.keyring.list("", None, 100).await.unwrap();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(page.headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), sorted);
}

#[tokio::test]
async fn rsa_is_made_on_the_pool_and_read_again() {
    let (_world, replica) = World::alone().await;
    replica.create("r", KeyType::Rsa2048).await;
    let made = replica.keyring.get("r").await.unwrap();
    replica.keyring.0.cache.clear();
    let read = replica.keyring.get("r").await.unwrap();
    assert!(!Arc::ptr_eq(&made, &read));
    assert_eq!(made.versions[&1].public, read.versions[&1].public);
    let Material::Rsa(key) = &read.versions[&1].material else { panic!("it is not RSA") };
    assert_eq!(key.bits(), 2048);
}

#[tokio::test]
async fn making_a_key_again_changes_nothing() {
    let (_world, replica) = World::alone().await;
    let first = replica.create("k", KeyType::Xaes256Gcm).await;
    let again = Creation { exportable: true, ..plain(KeyType::Xaes256Gcm) };
    let (second, creating) =
        replica.keyring.create(&named("k"), again, entry("key.create", "k")).await.unwrap();
    assert_eq!((first, creating), (second, Creating::Existing));
    let other = replica.keyring.create(&named("k"), plain(KeyType::Hmac), entry("key.create", "k")).await;
    assert_eq!(other.unwrap_err().reason(), "ALREADY_EXISTS");
}

#[tokio::test]
async fn periods_and_sizes_are_checked() {
    let (_world, replica) = World::alone().await;
    let short = Creation { auto_rotate: Duration::from_secs(3599), ..plain(KeyType::Hmac) };
    let sized = Creation { hmac_size: 16, ..plain(KeyType::Hmac) };
    let misplaced = Creation { hmac_size: 32, ..plain(KeyType::Ed25519) };
    for creation in [short, sized, misplaced] {
        let refused = replica.keyring.create(&named("k"), creation, entry("key.create", "k")).await;
        assert_eq!(refused.unwrap_err().reason(), "BAD_REQUEST");
    }
    let long = Creation { hmac_size: 512, ..plain(KeyType::Hmac) };
    let (header, _) = replica.keyring.create(&named("k"), long, entry("key.create", "k")).await.unwrap();
    assert_eq!(header.hmac_size, 512);
    assert!(matches!(replica.keyring.get("none").await, Err(Error::NotFound(_))));
    assert!(matches!(replica.keyring.get("no/name").await, Err(Error::BadRequest { field: "key", .. })));
}

#[tokio::test]
async fn minimums_decide_which_versions_do_what() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Aes256Gcm96).await;
    for _ in 0..4 {
        replica.rotate("k").await.unwrap();
    }
    let wanted = Configuration { min_decryption: Some(2), min_encryption: Some(4), ..config() };
    configure(&replica, "k", wanted).await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    assert!(matches!(key.decrypting(1), Err(Error::KeyVersion(1))));
    assert!(matches!(key.decrypting(0), Err(Error::KeyVersion(0))));
    assert!(matches!(key.decrypting(6), Err(Error::KeyVersion(6))));
    assert!(matches!(key.encrypting(3), Err(Error::KeyVersion(3))));
    assert_eq!(key.encrypting(4).unwrap().number, 4);
    assert_eq!(key.verifying().map(|version| version.number).collect::<Vec<_>>(), [5, 4, 3, 2]);
    // Down again: what was not in memory any more is read.
    configure(&replica, "k", Configuration { min_decryption: Some(0), min_encryption: Some(0), ..config() })
        .await
        .unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    assert_eq!((key.decrypting(1).unwrap().number, key.encrypting(1).unwrap().number), (1, 1));
}

#[tokio::test]
async fn impossible_minimums_are_refused() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Aes256Gcm96).await;
    replica.rotate("k").await.unwrap();
    let refused = [
        Configuration { min_decryption: Some(3), ..config() },
        Configuration { min_encryption: Some(3), ..config() },
        Configuration { min_decryption: Some(2), min_encryption: Some(1), ..config() },
        Configuration { auto_rotate: Some(Duration::from_mins(1)), ..config() },
    ];
    for wanted in refused {
        assert_eq!(configure(&replica, "k", wanted).await.unwrap_err().reason(), "BAD_REQUEST", "{wanted:?}");
    }
    for min_available in [0, 2] {
        let trimmed = replica.keyring.trim(&named("k"), min_available, entry("key.trim", "k")).await;
        assert_eq!(trimmed.unwrap_err().reason(), "BAD_REQUEST");
    }
}

#[tokio::test]
async fn what_is_one_way_is_not_taken_back() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Hmac).await;
    let never = Configuration { exportable: Some(false), plaintext_backup_allowed: Some(false), ..config() };
    assert!(!configure(&replica, "k", never).await.unwrap().exportable);
    let open = Configuration { exportable: Some(true), plaintext_backup_allowed: Some(true), ..config() };
    assert!(configure(&replica, "k", open).await.unwrap().exportable);
    for back in [
        Configuration { exportable: Some(false), ..config() },
        Configuration { plaintext_backup_allowed: Some(false), ..config() },
    ] {
        assert_eq!(configure(&replica, "k", back).await.unwrap_err().reason(), "ONE_WAY");
    }
}

#[tokio::test]
async fn trimmed_versions_are_gone_from_the_store() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Aes128Gcm96).await;
    let key = replica.keyring.get("k").await.unwrap();
    replica.keyring.reserve(&key, &key.versions[&1], 1).await.unwrap();
    replica.rotate("k").await.unwrap();
    replica.rotate("k").await.unwrap();
    configure(&replica, "k", Configuration { min_decryption: Some(3), ..config() }).await.unwrap();
    let header = replica.keyring.trim(&named("k"), 3, entry("key.trim", "k")).await.unwrap();
    assert_eq!(header.min_available, 3);
    let rows = replica.rows(Table::Keys, "").await;
    assert_eq!(
        rows.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["key/k", "version/k/0000000003"]
    );
    let back = Configuration { min_decryption: Some(2), ..config() };
    assert_eq!(configure(&replica, "k", back).await.unwrap_err().reason(), "BAD_REQUEST");
}

#[tokio::test]
async fn a_disabled_key_does_nothing_until_it_is_restored() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Ed25519).await;
    let name = named("k");
    replica.keyring.soft_delete(&name, entry("key.soft_delete", "k")).await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    assert!(matches!(key.encrypting(0), Err(Error::KeyDisabled(_))));
    assert!(matches!(key.decrypting(1), Err(Error::KeyDisabled(_))));
    assert_eq!(key.verifying().count(), 0);
    let refused = [
        replica.rotate("k").await.unwrap_err(),
        configure(&replica, "k", config()).await.unwrap_err(),
        replica.keyring.trim(&name, 1, entry("key.trim", "k")).await.unwrap_err(),
        replica.keyring.delete(&name, entry("key.delete", "k")).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.reason() == "KEY_DISABLED"), "{refused:?}");
    assert!(replica.keyring.describe(&name).await.unwrap().0.disabled);
    replica.keyring.undelete(&name, entry("key.undelete", "k")).await.unwrap();
    assert!(replica.keyring.get("k").await.unwrap().encrypting(0).is_ok());
}

#[tokio::test]
async fn deletion_must_be_allowed_and_leaves_nothing() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Aes256Gcm96).await;
    replica.rotate("k").await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    replica.keyring.reserve(&key, key.encrypting(0).unwrap(), 1).await.unwrap();
    let delete = async || replica.keyring.delete(&named("k"), entry("key.delete", "k")).await;
    assert_eq!(delete().await.unwrap_err().reason(), "DELETION_NOT_ALLOWED");
    configure(&replica, "k", Configuration { deletion_allowed: Some(true), ..config() }).await.unwrap();
    delete().await.unwrap();
    assert!(replica.rows(Table::Keys, "").await.is_empty());
    assert!(replica.keyring.cached("k").is_none());
    assert!(matches!(replica.keyring.get("k").await, Err(Error::NotFound(_))));
    assert!(matches!(delete().await, Err(Error::NotFound(_))));
    let operations: Vec<_> =
        replica.recorded().await.into_iter().map(|(operation, _, _)| operation).collect();
    assert_eq!(operations, ["key.create", "key.rotate", "key.config", "key.delete"]);
}

fn import(key_type: KeyType, material: &[u8]) -> Import {
    Import {
        key_type,
        material: Secret::new(material.to_vec()),
        password: Secret::default(),
        exportable: false,
    }
}

#[tokio::test]
async fn imported_keys_get_versions_by_import_and_by_rotation() {
    let (_world, replica) = World::alone().await;
    let bring = async |key_type, material: &[u8]| {
        replica.keyring.import(&named("k"), import(key_type, material), entry("key.import", "k")).await
    };
    assert!(bring(KeyType::Hmac, &[1; 64]).await.unwrap().imported);
    assert_eq!(bring(KeyType::Hmac, &[2; 48]).await.unwrap().latest, 2);
    assert_eq!(replica.rotate("k").await.unwrap().latest, 3);
    for (key_type, material, reason) in [
        (KeyType::Aes256Gcm96, [0; 32].as_slice(), "ALREADY_EXISTS"),
        (KeyType::Hmac, &[0; 31], "BAD_REQUEST"),
        (KeyType::Hmac, &[0; 513], "BAD_REQUEST"),
        (KeyType::Aes128Gcm96, &[0; 32], "BAD_REQUEST"),
        (KeyType::Aes256CbcLegacy, &[0; 33], "BAD_REQUEST"),
        (KeyType::Ed25519, b"no key", "BAD_REQUEST"),
    ] {
        assert_eq!(bring(key_type, material).await.unwrap_err().reason(), reason, "{key_type:?}");
    }
    let exportable = Import { exportable: true, ..import(KeyType::Hmac, &[3; 32]) };
    let refused = replica.keyring.import(&named("k"), exportable, entry("key.import", "k")).await;
    assert_eq!(refused.unwrap_err().reason(), "BAD_REQUEST");
    replica.create("made", KeyType::Hmac).await;
    let brought = import(KeyType::Hmac, &[1; 32]);
    let onto = replica.keyring.import(&named("made"), brought, entry("key.import", "made")).await;
    assert_eq!(onto.unwrap_err().reason(), "ALREADY_EXISTS");
}

#[tokio::test]
async fn private_keys_must_be_of_the_type_and_strong() {
    let (_world, replica) = World::alone().await;
    let p256 = patchbay_crypto::ecdsa::PrivateKey::generate(patchbay_crypto::ecdsa::Curve::P256).unwrap();
    let der = p256.to_pkcs8().unwrap();
    let pem = patchbay_crypto::pem::write_pkcs8_pem(der.expose(), Some("correct horse battery")).unwrap();
    let bring = async |key_type, password: &str| {
        let password = Secret::new(password.as_bytes().to_vec());
        let import = Import { key_type, material: pem.clone(), password, exportable: false };
        replica.keyring.import(&named("k"), import, entry("key.import", "k")).await
    };
    assert_eq!(bring(KeyType::EcdsaP384, "correct horse battery").await.unwrap_err().reason(), "KEY_TYPE");
    assert_eq!(bring(KeyType::EcdsaP256, "wrong horse battery").await.unwrap_err().reason(), "BAD_REQUEST");
    assert_eq!(bring(KeyType::EcdsaP256, "").await.unwrap_err().reason(), "BAD_REQUEST");
    bring(KeyType::EcdsaP256, "correct horse battery").await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    assert_eq!(key.versions[&1].public.as_deref(), Some(p256.public().to_spki_der().as_slice()));
    let weak = include_bytes!("rsa-1024.pem");
    let refused =
        replica.keyring.import(&named("w"), import(KeyType::Rsa2048, weak), entry("key.import", "w")).await;
    assert_eq!(refused.unwrap_err().reason(), "WEAK_KEY");
}

#[tokio::test]
async fn keys_rotate_by_themselves_once_when_they_are_due() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let hourly = Creation { auto_rotate: Duration::from_hours(1), ..plain(KeyType::Xaes256Gcm) };
    one.keyring.create(&named("hourly"), hourly, entry("key.create", "hourly")).await.unwrap();
    one.create("never", KeyType::Xaes256Gcm).await;
    let rotate_both = async || {
        let (first, second) = tokio::join!(one.keyring.rotate_due(), two.keyring.rotate_due());
        first.and(second).unwrap();
        let latest = async |name| one.keyring.describe(&named(name)).await.unwrap().0.latest;
        (latest("hourly").await, latest("never").await)
    };
    world.clock.advance(Duration::from_mins(59));
    assert_eq!(rotate_both().await, (1, 1));
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(rotate_both().await, (2, 1));
    assert_eq!(rotate_both().await, (2, 1));
    world.clock.advance(Duration::from_hours(1));
    one.keyring.soft_delete(&named("hourly"), entry("key.soft_delete", "hourly")).await.unwrap();
    assert_eq!(rotate_both().await, (2, 1));
    let rotations =
        one.recorded().await.into_iter().filter(|(operation, _, _)| operation == "key.auto_rotate");
    assert_eq!(rotations.count(), 1);
}
