use super::*;
use crate::keyring::{
    KeyType,
    tests::{alone, plain},
};

#[tokio::test]
async fn chains_of_a_key_that_has_changed_are_not_told_beside_versions_from_before() {
    let keyring = alone().keyring;
    let name = KeyName::parse("name", "k").unwrap();
    let entry = || Entry::by("ada", "key.test", "k");
    keyring.create(&name, plain(KeyType::Ed25519), entry()).await.unwrap();
    let before = keyring.header(&name).await.unwrap().unwrap();
    assert_eq!(keyring.chains(&name, &before, &[1]).await.unwrap(), Some(vec![None]));
    keyring.set_certificate(&name, 1, None, entry()).await.unwrap();
    assert_eq!(keyring.chains(&name, &before, &[1]).await.unwrap(), None);
    let (header, versions, chains) = keyring.all_versions(&name).await.unwrap();
    assert_eq!((header.latest, versions.len(), chains), (1, 1, vec![None]));
}
