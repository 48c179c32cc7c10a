//! What is secret stays wrapped in the store and prints as nothing.

use super::*;
use crate::keyring::Import;

/// A marker, in every form in which it might be seen.
fn forms(canary: &[u8]) -> Vec<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    vec![canary.to_vec(), hex::encode(canary).into_bytes(), STANDARD.encode(canary).into_bytes()]
}

fn holds(text: &[u8], canary: &[u8]) -> bool {
    forms(canary).iter().any(|form| text.windows(form.len()).any(|window| window == form))
}

#[tokio::test]
async fn no_row_holds_material() {
    let (_world, replica) = World::alone().await;
    let canary = b"canary-canary-canary-canary-cana".as_slice();
    let import = Import {
        key_type: KeyType::Aes256Gcm96,
        material: Secret::new(canary.to_vec()),
        password: Secret::default(),
        exportable: true,
    };
    replica.keyring.import(&named("k"), import, entry("key.import", "k")).await.unwrap();
    let seed = [0x5a; 32];
    let private = patchbay_crypto::ed25519::PrivateKey::from_seed(&seed).unwrap();
    let import = Import {
        key_type: KeyType::Ed25519,
        material: private.to_pkcs8().unwrap(),
        password: Secret::default(),
        exportable: true,
    };
    replica.keyring.import(&named("p"), import, entry("key.import", "p")).await.unwrap();
    replica
        .keyring
        .export(&named("k"), 0, super::super::Format::Raw, Secret::default(), entry("key.export", "k"))
        .await
        .unwrap();
    let mut rows = 0;
    for table in Table::ALL {
        for (key, value) in replica.rows(table, "").await {
            rows += 1;
            assert!(!holds(&value, canary) && !holds(&value, &seed), "{key}");
        }
    }
    assert!(rows >= 7, "two headers, two versions, three records");
    assert!(holds(b"xx canary-canary-canary-canary-cana", canary), "the search finds what is there");
}

#[tokio::test]
async fn keys_print_without_their_material() {
    let (_world, replica) = World::alone().await;
    let import = Import {
        key_type: KeyType::Hmac,
        material: Secret::new(b"canary-canary-canary-canary-cana".to_vec()),
        password: Secret::default(),
        exportable: true,
    };
    replica.keyring.import(&named("k"), import, entry("key.import", "k")).await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    let (_, exported) = replica
        .keyring
        .export(&named("k"), 0, super::super::Format::Raw, Secret::default(), entry("key.export", "k"))
        .await
        .unwrap();
    let printed = format!("{key:?} {:?} {:?} {exported:?}", key.versions, key.versions[&1].material);
    assert!(printed.contains("Material(..)") && printed.contains("Secret(..)"));
    assert!(!printed.contains("canary") && !printed.contains("99, 97, 110"), "{printed}");
}

#[tokio::test]
async fn a_row_in_another_place_does_not_open() {
    let (_world, replica) = World::alone().await;
    replica.create("a", KeyType::Xaes256Gcm).await;
    replica.create("b", KeyType::Xaes256Gcm).await;
    let rows = replica.rows(Table::Keys, "version/a/").await;
    let swapped = Table::Keys.change(
        "version/b/0000000001",
        patchbay_backplane::Expect::Anything,
        Some(rows[0].1.clone().into()),
    );
    replica.store.commit_unrecorded(vec![swapped]).await.unwrap();
    replica.keyring.0.cache.clear();
    assert!(replica.keyring.get("a").await.is_ok());
    assert!(matches!(replica.keyring.get("b").await, Err(Error::Internal(_))));
}
