//! Export, backup and restore.

use super::*;
use crate::{
    keyring::{Configuration, Existing, Exported, Format, Import, Restore},
    store::Row,
};
use patchbay_crypto::pem;

const PASSWORD: &str = "correct horse battery";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

async fn make(replica: &Replica, name: &str, key_type: KeyType) {
    let open = Creation { exportable: true, plaintext_backup_allowed: true, ..plain(key_type) };
    replica.keyring.create(&named(name), open, entry("key.create", name)).await.unwrap();
}

async fn export(
    replica: &Replica,
    name: &str,
    format: Format,
    password: &str,
) -> Result<Vec<Exported>, Error> {
    let (name, entry) = (named(name), entry("key.export", name));
    let exported = replica.keyring.export(&name, 0, format, secret(password), entry).await;
    exported.map(|(_, versions)| versions)
}

async fn backup(replica: &Replica, name: &str, password: &str) -> Result<Secret, Error> {
    replica.keyring.backup(&named(name), secret(password), entry("key.backup", name)).await
}

async fn restore(
    replica: &Replica,
    name: &str,
    backup: &Secret,
    password: &str,
    existing: Existing,
) -> Result<Header, Error> {
    let restore = Restore { backup: backup.clone(), password: secret(password), existing };
    replica.keyring.restore(&named(name), restore, entry("key.restore", name)).await
}

#[tokio::test]
async fn exported_material_is_the_same_key_where_it_is_imported() {
    let (_world, replica) = World::alone().await;
    for (key_type, formats) in [
        (KeyType::Xaes256Gcm, [Format::Usual, Format::Raw]),
        (KeyType::Hmac, [Format::Usual, Format::Raw]),
        (KeyType::Ed25519, [Format::Usual, Format::Pkcs8Der]),
        (KeyType::EcdsaP384, [Format::Pkcs8Pem, Format::Pkcs8Der]),
        (KeyType::X25519, [Format::Usual, Format::Pkcs8Der]),
        (KeyType::EcdhP256, [Format::Usual, Format::Pkcs8Der]),
        (KeyType::MlKem768, [Format::Usual, Format::Pkcs8Der]),
        (KeyType::MlDsa65, [Format::Usual, Format::Pkcs8Der]),
        (KeyType::Aes256GcmSivConvergent, [Format::Usual, Format::Raw]),
        (KeyType::Aes128GcmChunked, [Format::Usual, Format::Raw]),
        (KeyType::Aes256GcmChunked, [Format::Usual, Format::Raw]),
    ] {
        let name = key_type.word();
        make(&replica, name, key_type).await;
        for (index, format) in formats.into_iter().enumerate() {
            let password = if key_type.is_asymmetric() && index == 1 { PASSWORD } else { "" };
            let exported = export(&replica, name, format, password).await.unwrap();
            assert_eq!(exported.len(), 1);
            let copy = format!("{name}-{index}");
            let import = Import {
                key_type,
                material: exported[0].material.clone(),
                password: secret(password),
                exportable: true,
            };
            replica.keyring.import(&named(&copy), import, entry("key.import", &copy)).await.unwrap();
            let again = export(&replica, &copy, Format::Usual, "").await.unwrap();
            let first = export(&replica, name, Format::Usual, "").await.unwrap();
            assert_eq!(again[0].material, first[0].material);
        }
    }
    make(&replica, "seed", KeyType::Ed25519).await;
    assert_eq!(export(&replica, "seed", Format::Raw, "").await.unwrap()[0].material.expose().len(), 32);
}

#[tokio::test]
async fn exports_that_may_not_be_are_refused_and_nothing_is_recorded_as_done() {
    let (_world, replica) = World::alone().await;
    replica.create("closed", KeyType::Ed25519).await;
    make(&replica, "aes", KeyType::Aes256Gcm96).await;
    make(&replica, "ec", KeyType::EcdsaP256).await;
    for (name, format, password, reason) in [
        ("closed", Format::Usual, "", "NOT_EXPORTABLE"),
        ("aes", Format::Pkcs8Pem, "", "KEY_TYPE"),
        ("aes", Format::Raw, PASSWORD, "BAD_REQUEST"),
        ("ec", Format::Raw, "", "KEY_TYPE"),
        ("ec", Format::Pkcs8Pem, "too short", "WEAK_PASSWORD"),
    ] {
        assert_eq!(export(&replica, name, format, password).await.unwrap_err().reason(), reason);
    }
    let refused = entry("key.export", "aes");
    let absent = replica.keyring.export(&named("aes"), 2, Format::Raw, Secret::default(), refused).await;
    assert_eq!(absent.unwrap_err().reason(), "KEY_VERSION");
    assert!(replica.recorded().await.iter().all(|(operation, _, _)| operation == "key.create"));
    export(&replica, "aes", Format::Raw, "").await.unwrap();
    assert_eq!(replica.recorded().await.last().unwrap().0, "key.export");
}

#[tokio::test]
async fn public_halves_are_given_of_keys_that_are_not_exportable() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::EcdsaP521).await;
    replica.rotate("k").await.unwrap();
    let (_, pems) = replica.keyring.export_public(&named("k"), 0, Format::PublicPem).await.unwrap();
    let (_, ders) = replica.keyring.export_public(&named("k"), 2, Format::PublicDer).await.unwrap();
    assert_eq!((pems.len(), ders.len(), ders[0].number), (2, 1, 2));
    assert_eq!(pem::public_key_from(pems[1].material.expose()).unwrap().1, ders[0].material.expose());
    replica.create("s", KeyType::Hmac).await;
    let refused = replica.keyring.export_public(&named("s"), 0, Format::PublicDer).await;
    assert_eq!(refused.unwrap_err().reason(), "KEY_TYPE");
}

#[tokio::test]
async fn a_backup_is_restored_under_another_root_key_and_decrypts() {
    let (_world, here) = World::alone().await;
    let elsewhere = World::with_root(9);
    let there = elsewhere.replica("there").await;
    for key_type in [
        KeyType::Aes256Gcm96,
        KeyType::Ed25519,
        KeyType::Rsa2048,
        KeyType::X25519,
        KeyType::MlKem768,
        KeyType::MlDsa65,
    ] {
        let name = key_type.word();
        make(&here, name, key_type).await;
        here.rotate(name).await.unwrap();
        let wanted = Configuration { min_decryption: Some(2), ..Configuration::default() };
        here.keyring.configure(&named(name), wanted, entry("key.config", name)).await.unwrap();
        for password in [PASSWORD, ""] {
            let copy = backup(&here, name, password).await.unwrap();
            let under = if password.is_empty() { "plaintext" } else { "encrypted" };
            let under = format!("{name}-{under}");
            let header = restore(&there, &under, &copy, password, Existing::Keep).await.unwrap();
            assert_eq!((header.latest, header.min_decryption), (2, 2));
            assert_ne!(header.root, here.keyring.0.root.id());
            // What was put in memory, and what stands in the store.
            for _ in 0..2 {
                let original = export(&here, name, Format::Usual, "").await.unwrap();
                let restored = export(&there, &under, Format::Usual, "").await.unwrap();
                let pairs = original.iter().zip(&restored);
                assert!(pairs.clone().all(|(a, b)| (a.number, &a.material) == (b.number, &b.material)));
                assert_eq!(there.keyring.get(&under).await.unwrap().versions.len(), 1);
                there.keyring.0.cache.clear();
            }
        }
    }
}

#[tokio::test]
async fn backups_that_may_not_be_made_are_refused() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Xaes256Gcm).await;
    assert_eq!(backup(&replica, "k", "").await.unwrap_err().reason(), "NOT_EXPORTABLE");
    assert_eq!(backup(&replica, "k", "short").await.unwrap_err().reason(), "WEAK_PASSWORD");
    assert_eq!(backup(&replica, "none", PASSWORD).await.unwrap_err().reason(), "NOT_FOUND");
    backup(&replica, "k", PASSWORD).await.unwrap();
    assert_eq!(replica.recorded().await.last().unwrap().0, "key.backup");
}

#[tokio::test]
async fn damaged_backups_are_refused_with_one_error() {
    let (_world, replica) = World::alone().await;
    make(&replica, "k", KeyType::Xaes256Gcm).await;
    let sealed = backup(&replica, "k", PASSWORD).await.unwrap();
    let open = backup(&replica, "k", "").await.unwrap();
    let mut flipped = sealed.expose().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let json = |from: &str, to: &str| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let json = String::from_utf8(STANDARD.decode(open.expose()).unwrap()).unwrap();
        assert!(json.contains(from), "{from}");
        Secret::new(STANDARD.encode(json.replace(from, to)).into_bytes())
    };
    let damaged = [
        (sealed.clone(), "wrong horse battery"),
        (sealed.clone(), ""),
        (Secret::new(flipped), PASSWORD),
        (Secret::new(sealed.expose()[..10].to_vec()), PASSWORD),
        (open.clone(), PASSWORD),
        (secret("no Base64!"), ""),
        (Secret::default(), ""),
        (json("\"latest\":1", "\"latest\":4000000000"), ""),
        (json("\"min_decryption\":1", "\"min_decryption\":0"), ""),
        (json("xaes256-gcm", "aes128-gcm96"), ""),
        (json("\"auto_rotate\":0", "\"auto_rotate\":5"), ""),
        (json("\"format\":1", "\"format\":2"), ""),
    ];
    for (index, (copy, password)) in damaged.into_iter().enumerate() {
        let refused = restore(&replica, "new", &copy, password, Existing::Keep).await.unwrap_err();
        assert!(matches!(refused, Error::BackupUnreadable), "{index}: {refused:?}");
    }
}

/// A plaintext backup of a key, and the same as somebody has edited it.
async fn edited(replica: &Replica, name: &str, edit: impl Fn(&mut serde_json::Value)) -> Secret {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let open = backup(replica, name, "").await.unwrap();
    let mut json = serde_json::from_slice(&STANDARD.decode(open.expose()).unwrap()).unwrap();
    edit(&mut json);
    Secret::new(STANDARD.encode(json.to_string()).into_bytes())
}

#[tokio::test]
async fn material_is_restored_as_nothing_but_what_it_is() {
    let (_world, replica) = World::alone().await;
    for (is, said) in [
        (KeyType::EcdsaP256, "ecdsa-p521"),
        (KeyType::EcdsaP384, "ecdsa-p256"),
        (KeyType::Rsa2048, "rsa-4096"),
        (KeyType::X25519, "ecdh-p256"),
        (KeyType::EcdhP256, "x25519"),
        (KeyType::Ed25519, "x25519"),
        (KeyType::MlDsa65, "ml-kem-768"),
        (KeyType::Hmac, "ed25519"),
        (KeyType::Aes128GcmChunked, "aes256-gcm-chunked"),
    ] {
        make(&replica, is.word(), is).await;
        let copy = edited(&replica, is.word(), |json| json["header"]["type"] = said.into()).await;
        let refused = restore(&replica, "new", &copy, "", Existing::Keep).await;
        assert!(matches!(refused, Err(Error::BackupUnreadable)), "{} as {said}: {refused:?}", is.word());
    }
}

#[tokio::test]
async fn the_next_version_of_a_restored_key_is_of_a_size_that_may_be() {
    let (_world, replica) = World::alone().await;
    make(&replica, "h", KeyType::Hmac).await;
    make(&replica, "e", KeyType::Ed25519).await;
    for (name, size) in [("h", 0), ("h", 31), ("h", 513), ("h", u32::MAX), ("e", 32)] {
        let copy = edited(&replica, name, |json| json["header"]["hmac_size"] = size.into()).await;
        let refused = restore(&replica, "new", &copy, "", Existing::Keep).await;
        assert!(matches!(refused, Err(Error::BackupUnreadable)), "{name} with {size}: {refused:?}");
    }
}

#[tokio::test]
async fn a_restored_counter_is_never_lower() {
    let mut world = World::new();
    world.config.counter_block = 100;
    let replica = world.replica("one").await;
    make(&replica, "k", KeyType::Aes256Gcm96).await;
    let key = replica.keyring.get("k").await.unwrap();
    replica.keyring.reserve(&key, &key.versions[&1], 500).await.unwrap();
    let copy = backup(&replica, "k", "").await.unwrap();
    let encryptions =
        async |name: &str| replica.keyring.describe(&named(name)).await.unwrap().1[0].encryptions;
    restore(&replica, "copy", &copy, "", Existing::Keep).await.unwrap();
    assert_eq!(encryptions("copy").await, 600);
    replica.keyring.reserve(&key, &key.versions[&1], 1000).await.unwrap();
    restore(&replica, "k", &copy, "", Existing::Replace).await.unwrap();
    assert_eq!(encryptions("k").await, 1600);
}

#[tokio::test]
async fn a_key_that_is_there_is_replaced_only_by_force() {
    let (world, replica) = World::alone().await;
    let other = world.replica("two").await;
    make(&replica, "k", KeyType::Xaes256Gcm).await;
    let copy = backup(&replica, "k", PASSWORD).await.unwrap();
    for _ in 0..2 {
        replica.rotate("k").await.unwrap();
    }
    other.remember("k").await;
    let refused = restore(&replica, "k", &copy, PASSWORD, Existing::Keep).await.unwrap_err();
    assert_eq!(refused.reason(), "ALREADY_EXISTS");
    let before: Row<Header> = replica.keyring.header(&named("k")).await.unwrap().unwrap();
    let header = restore(&replica, "k", &copy, PASSWORD, Existing::Replace).await.unwrap();
    assert_eq!(header.latest, 1);
    assert_ne!(header.id, before.value.id);
    assert_eq!(replica.keyring.cached("k").unwrap().header.id, header.id);
    assert_eq!(replica.rows(Table::Keys, "version/").await.len(), 1, "the versions after it are gone");
    until(|| other.keyring.cached("k").is_none()).await;
    // A version with a number that another one had.
    replica.rotate("k").await.unwrap();
    let (mine, theirs) =
        (export(&replica, "k", Format::Raw, "").await, export(&other, "k", Format::Raw, "").await);
    assert_eq!(mine.unwrap()[1].material, theirs.unwrap()[1].material);
}
