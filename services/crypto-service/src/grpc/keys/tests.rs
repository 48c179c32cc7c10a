//! Who may call what, what is recorded, and what the answers say. What happens to keys is tested at the keyring.

use super::*;
use crate::keyring::tests::{Replica, alone};
use patchbay_auth::{Identity, IdentityKind};
use patchbay_proto::crypto::v1::{ExportFormat, KeyType, keys_server::Keys as _};
use tonic::Code;
use tonic_types::StatusExt;

fn service() -> (Keys, Replica) {
    let replica = alone();
    let (keyring, store) = (replica.keyring.clone(), Arc::clone(&replica.store));
    (Keys { keyring, store }, replica)
}

fn by<T>(scope: &str, message: T) -> Request<T> {
    let identity = Identity {
        subject: "ada".into(),
        kind: IdentityKind::User,
        ..Identity::guest(&[scope.parse().unwrap()])
    };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Arc::new(identity));
    request
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn create(name: &str) -> CreateKeyRequest {
    CreateKeyRequest { name: name.to_owned(), exportable: true, ..CreateKeyRequest::default() }
}

async fn call(keys: &Keys, operation: &str, scope: &str) -> Result<(), Status> {
    let name = "app-1".to_owned();
    match operation {
        "create" => keys.create_key(by(scope, create(&name))).await.map(drop),
        "import" => {
            let request =
                ImportKeyRequest { name, material: vec![0; 32].into(), ..ImportKeyRequest::default() };
            keys.import_key(by(scope, request)).await.map(drop)
        }
        "read" => keys.get_key(by(scope, GetKeyRequest { name })).await.map(drop),
        "rotate" => keys.rotate_key(by(scope, RotateKeyRequest { name })).await.map(drop),
        "config" => {
            let request = UpdateKeyConfigRequest { name, ..UpdateKeyConfigRequest::default() };
            keys.update_key_config(by(scope, request)).await.map(drop)
        }
        "delete" => keys.delete_key(by(scope, DeleteKeyRequest { name })).await.map(drop),
        "soft_delete" => keys.soft_delete_key(by(scope, SoftDeleteKeyRequest { name })).await.map(drop),
        "undelete" => keys.undelete_key(by(scope, UndeleteKeyRequest { name })).await.map(drop),
        "trim" => keys.trim_key(by(scope, TrimKeyRequest { name, min_available_version: 1 })).await.map(drop),
        "export" => {
            let request = ExportKeyRequest { name, ..ExportKeyRequest::default() };
            keys.export_key(by(scope, request)).await.map(drop)
        }
        "export_public" => {
            let format = ExportFormat::PublicPem.into();
            let request = ExportKeyRequest { name, format, ..ExportKeyRequest::default() };
            keys.export_key(by(scope, request)).await.map(drop)
        }
        "csr" => {
            let request = CreateCertificateRequestRequest { name, ..Default::default() };
            keys.create_certificate_request(by(scope, request)).await.map(drop)
        }
        "certificate" => {
            let request = SetCertificateRequest { name, ..Default::default() };
            keys.set_certificate(by(scope, request)).await.map(drop)
        }
        "backup" => {
            let request = BackupKeyRequest { name, password: "correct horse battery".into() };
            keys.backup_key(by(scope, request)).await.map(drop)
        }
        _ => {
            let request = RestoreKeyRequest { name, ..RestoreKeyRequest::default() };
            keys.restore_key(by(scope, request)).await.map(drop)
        }
    }
}

/// Operation, word of its scope, whether `manage` stands for it, and the record of a refusal.
const OPERATIONS: [(&str, &str, bool, Option<&str>); 15] = [
    ("create", "create", true, Some("key.create")),
    ("import", "import", true, Some("key.import")),
    ("read", "read", true, None),
    ("rotate", "rotate", true, Some("key.rotate")),
    ("config", "config", false, Some("key.config")),
    ("delete", "delete", false, Some("key.delete")),
    ("soft_delete", "delete", false, Some("key.soft_delete")),
    ("undelete", "delete", false, Some("key.undelete")),
    ("trim", "trim", true, Some("key.trim")),
    ("csr", "csr", true, Some("key.csr")),
    ("certificate", "config", false, Some("key.certificate")),
    ("export", "export", false, Some("key.export")),
    ("export_public", "read", true, None),
    ("backup", "backup", false, Some("key.backup")),
    ("restore", "restore", false, Some("key.restore")),
];

#[tokio::test]
async fn each_operation_asks_for_its_scope_on_this_key_and_refusals_are_recorded() {
    for (operation, word, is_managed, recorded) in OPERATIONS {
        let (keys, replica) = service();
        let denied = async |scope: &str| {
            let outcome = call(&keys, operation, scope).await;
            outcome.is_err_and(|status| {
                status.code() == Code::PermissionDenied && reason(&status) == "PERMISSION_DENIED"
            })
        };
        let all: Vec<&str> = OPERATIONS.iter().map(|(_, word, _, _)| *word).collect();
        for other in all.into_iter().filter(|other| *other != word) {
            assert!(denied(&format!("keys:{other}:*")).await, "{operation} with {other}");
        }
        assert!(denied(&format!("keys:{word}:other-*")).await, "{operation} on another key");
        assert!(denied("keys:use:*").await, "{operation} with use");
        assert_eq!(denied("keys:manage:*").await, !is_managed, "{operation} with manage");
        assert!(!denied(&format!("keys:{word}:app-*")).await, "{operation}");
        assert!(!denied("admin").await, "{operation} by an administrator");
        let refusals =
            replica.recorded().await.into_iter().filter(|(_, _, outcome)| outcome == "PERMISSION_DENIED");
        let refusals: Vec<_> = refusals.map(|(operation, target, _)| (operation, target)).collect();
        match recorded {
            Some(recorded) => {
                assert!(refusals.len() >= 9, "{operation}");
                assert!(
                    refusals.iter().all(|(operation, target)| operation == recorded && target == "app-1")
                );
            }
            None => assert!(refusals.is_empty(), "{operation}"),
        }
    }
}

#[tokio::test]
async fn a_call_without_an_identity_is_refused() {
    let (keys, replica) = service();
    let status = keys.create_key(Request::new(create("k"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(replica.recorded().await.is_empty());
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let (keys, replica) = service();
    let field = |status: Status| status.get_details_bad_request().unwrap().field_violations[0].field.clone();
    let long = "n".repeat(100_000);
    assert_eq!(field(keys.create_key(by("admin", create(&long))).await.unwrap_err()), "name");
    assert_eq!(replica.recorded().await[0].1.len(), 128, "a name that is refused is recorded in part");
    let request = CreateKeyRequest { r#type: 99, ..create("k") };
    assert_eq!(field(keys.create_key(by("admin", request)).await.unwrap_err()), "type");
    let period = Some(prost_types::Duration { seconds: -3600, nanos: 0 });
    let request = CreateKeyRequest { auto_rotate_period: period, ..create("k") };
    assert_eq!(field(keys.create_key(by("admin", request)).await.unwrap_err()), "auto_rotate_period");
    let request = ExportKeyRequest { name: "k".into(), format: 99, ..ExportKeyRequest::default() };
    assert_eq!(field(keys.export_key(by("admin", request)).await.unwrap_err()), "format");
    let request = ListKeysRequest { page_size: 1001, ..ListKeysRequest::default() };
    assert_eq!(field(keys.list_keys(by("admin", request)).await.unwrap_err()), "page_size");
    let request = ListKeysRequest { prefix: "a/b".into(), ..ListKeysRequest::default() };
    assert_eq!(field(keys.list_keys(by("admin", request)).await.unwrap_err()), "prefix");
}

#[tokio::test]
async fn answers_tell_the_key_as_it_is() {
    let (keys, _replica) = service();
    let request = CreateKeyRequest { r#type: KeyType::Ed25519.into(), ..create("k") };
    let made = keys.create_key(by("keys:create:k", request.clone())).await.unwrap().into_inner();
    assert!(made.is_new && !keys.create_key(by("admin", request)).await.unwrap().into_inner().is_new);
    let key = made.key.unwrap();
    assert!(key.r#type() == KeyType::Ed25519);
    assert_eq!((key.latest_version, key.versions.len()), (1, 1));
    assert_eq!(key.created.unwrap().seconds, 1_800_000_000);
    let request = RotateKeyRequest { name: "k".into() };
    let key = keys.rotate_key(by("admin", request)).await.unwrap().into_inner().key.unwrap();
    assert_eq!((key.latest_version, key.versions.len()), (2, 2));
    let request = ExportKeyRequest {
        name: "k".into(),
        format: ExportFormat::PublicPem.into(),
        ..ExportKeyRequest::default()
    };
    let exported = keys.export_key(by("keys:read:k", request)).await.unwrap().into_inner();
    let pems: Vec<_> = exported.versions.iter().map(|version| version.material.to_vec()).collect();
    let told: Vec<_> =
        key.versions.iter().map(|version| version.public_key_pem.clone().into_bytes()).collect();
    assert_eq!(pems, told);
}

#[tokio::test]
async fn lists_have_pages_and_leave_out_what_the_caller_may_not_list() {
    let (keys, _replica) = service();
    for name in ["app-1", "app-2", "app-3", "other-1", "zone-1"] {
        keys.create_key(by("admin", create(name))).await.unwrap();
    }
    let list = async |scope: &str, page_size, page_token: &str, prefix: &str| {
        let request = ListKeysRequest { page_size, page_token: page_token.into(), prefix: prefix.into() };
        let page = keys.list_keys(by(scope, request)).await.unwrap().into_inner();
        let names = page.keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(" ");
        (names, page.next_page_token)
    };
    assert_eq!(list("admin", 0, "", "").await, ("app-1 app-2 app-3 other-1 zone-1".into(), String::new()));
    assert_eq!(list("admin", 2, "", "").await, ("app-1 app-2".into(), "app-2".into()));
    assert_eq!(list("admin", 2, "app-2", "").await, ("app-3 other-1".into(), "other-1".into()));
    assert_eq!(list("admin", 2, "other-1", "").await, ("zone-1".into(), String::new()));
    assert_eq!(list("admin", 3, "", "app-").await, ("app-1 app-2 app-3".into(), String::new()));
    assert_eq!(list("keys:list:app-*", 3, "", "").await, ("app-1 app-2 app-3".into(), String::new()));
    assert_eq!(list("keys:manage:zone-*", 0, "", "").await, ("zone-1".into(), String::new()));
    assert_eq!(list("keys:read:*", 0, "", "").await, (String::new(), String::new()));
}

#[tokio::test]
async fn a_copy_goes_out_and_comes_back() {
    let (keys, replica) = service();
    keys.create_key(by("admin", create("k"))).await.unwrap();
    let request = BackupKeyRequest { name: "k".into(), password: "correct horse battery".into() };
    let backup = keys.backup_key(by("keys:backup:k", request)).await.unwrap().into_inner().backup;
    let mut request = RestoreKeyRequest {
        name: "k".into(),
        backup,
        password: "correct horse battery".into(),
        force: false,
    };
    let status = keys.restore_key(by("keys:restore:*", request.clone())).await.unwrap_err();
    assert_eq!(reason(&status), "ALREADY_EXISTS");
    request.force = true;
    assert!(
        keys.restore_key(by("keys:restore:*", request)).await.unwrap().into_inner().key.unwrap().exportable
    );
    let recorded: Vec<_> =
        replica.recorded().await.into_iter().map(|(operation, _, outcome)| (operation, outcome)).collect();
    let expected = [
        ("key.create", "ok"),
        ("key.backup", "ok"),
        ("key.restore", "ALREADY_EXISTS"),
        ("key.restore", "ok"),
    ];
    assert_eq!(recorded, expected.map(|(operation, outcome)| (operation.to_owned(), outcome.to_owned())));
}
