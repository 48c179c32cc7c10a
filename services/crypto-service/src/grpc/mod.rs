//! gRPC: the interface of the service, and the table of who may call what.

use crate::{core::Core, error::Error};
use patchbay_auth::{MethodScopes, Requirement};
use patchbay_proto::crypto::v1 as pb;
use std::sync::Arc;
use tonic::service::Routes;

/// Domain of the errors' `ErrorInfo`.
pub(crate) const DOMAIN: &str = "crypto-service.patchbay";

/// The services behind one server.
pub(crate) fn routes(_core: &Arc<Core>) -> Routes {
    Routes::default()
}

/// What the layer before all methods asks; where a scope names a resource, the method checks that.
pub(crate) fn methods() -> MethodScopes {
    METHODS.iter().fold(MethodScopes::new(DOMAIN), |methods, method| methods.method(method.path, method.requirement))
}

/// What is wrong with one item of a batch, in the words of a whole call's error. Causes of internal ones are logged, not told.
pub(crate) fn item_error(error: &Error) -> pb::ItemError {
    let message = match error {
        Error::Internal(cause) => {
            tracing::error!(%cause, "an item of a batch failed");
            "internal error".to_owned()
        }
        error => error.to_string(),
    };
    pb::ItemError { reason: error.reason().to_owned(), message }
}

/// One method and its door.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/<package>.<Service>/<Method>`.
    pub path: &'static str,
    /// What it asks of its caller.
    pub requirement: Requirement,
    /// Where it stands in REST.
    pub door: Option<Door>,
}

/// Where a method stands in REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// HTTP method.
    pub verb: &'static str,
    /// Path; `{field}` is a field of the request.
    pub path: &'static str,
}

const fn scope(service: &'static str, action: &'static str) -> Requirement {
    Requirement::Scope { service, action }
}

const fn rpc(path: &'static str, requirement: Requirement, verb: &'static str, route: &'static str) -> Method {
    Method { path, requirement, door: Some(Door { verb, path: route }) }
}

const fn stream(path: &'static str, requirement: Requirement) -> Method {
    Method { path, requirement, door: None }
}

/// Every method. A method that is not here is refused.
pub const METHODS: &[Method] = &[
    rpc("/patchbay.crypto.v1.Accounts/GetSetup", Requirement::Open, "GET", "/v1/setup"),
    rpc("/patchbay.crypto.v1.Accounts/Setup", Requirement::Open, "POST", "/v1/setup"),
    rpc("/patchbay.crypto.v1.Accounts/CreateAccount", scope("accounts", "write"), "POST", "/v1/accounts"),
    rpc("/patchbay.crypto.v1.Accounts/GetAccount", Requirement::AnyToken, "GET", "/v1/accounts/{name}"),
    rpc("/patchbay.crypto.v1.Accounts/ListAccounts", scope("accounts", "read"), "GET", "/v1/accounts"),
    rpc("/patchbay.crypto.v1.Accounts/UpdateAccount", scope("accounts", "write"), "PATCH", "/v1/accounts/{name}"),
    rpc("/patchbay.crypto.v1.Accounts/DeleteAccount", scope("accounts", "write"), "DELETE", "/v1/accounts/{name}"),
    rpc("/patchbay.crypto.v1.Accounts/SetPassword", scope("accounts", "write"), "PUT", "/v1/accounts/{name}/password"),
    rpc("/patchbay.crypto.v1.Accounts/ChangePassword", Requirement::AnyToken, "POST", "/v1/password"),
    rpc("/patchbay.crypto.v1.Accounts/UnlockAccount", scope("accounts", "write"), "POST", "/v1/accounts/{name}/unlock"),
    rpc("/patchbay.crypto.v1.Accounts/PutGroup", scope("accounts", "write"), "PUT", "/v1/groups/{group.name}"),
    rpc("/patchbay.crypto.v1.Accounts/ListGroups", scope("accounts", "read"), "GET", "/v1/groups"),
    rpc("/patchbay.crypto.v1.Accounts/DeleteGroup", scope("accounts", "write"), "DELETE", "/v1/groups/{name}"),
    rpc("/patchbay.crypto.v1.Accounts/CreateApiKey", Requirement::AnyToken, "POST", "/v1/api-keys"),
    rpc("/patchbay.crypto.v1.Accounts/ListApiKeys", Requirement::AnyToken, "GET", "/v1/api-keys"),
    rpc("/patchbay.crypto.v1.Accounts/RevokeApiKey", Requirement::AnyToken, "DELETE", "/v1/api-keys/{id}"),
    rpc("/patchbay.crypto.v1.Accounts/CreateCredential", Requirement::AnyToken, "POST", "/v1/credentials"),
    rpc("/patchbay.crypto.v1.Accounts/ListCredentials", Requirement::AnyToken, "GET", "/v1/credentials"),
    rpc("/patchbay.crypto.v1.Accounts/DeleteCredential", Requirement::AnyToken, "DELETE", "/v1/credentials/{protocol}/{username}"),
    rpc("/patchbay.crypto.v1.Accounts/CheckCredential", scope("accounts", "check"), "POST", "/v1/credentials/check"),
    rpc("/patchbay.crypto.v1.Tokens/SignIn", Requirement::Open, "POST", "/v1/tokens/sign-in"),
    rpc("/patchbay.crypto.v1.Tokens/Refresh", Requirement::Open, "POST", "/v1/tokens/refresh"),
    rpc("/patchbay.crypto.v1.Tokens/SignOut", Requirement::Open, "POST", "/v1/tokens/sign-out"),
    rpc("/patchbay.crypto.v1.Tokens/ExchangeApiKey", Requirement::Open, "POST", "/v1/tokens/api-key"),
    rpc("/patchbay.crypto.v1.Tokens/MintToken", scope("tokens", "mint"), "POST", "/v1/tokens"),
    rpc("/patchbay.crypto.v1.Tokens/VerifyToken", Requirement::AnyToken, "POST", "/v1/tokens/verify"),
    rpc("/patchbay.crypto.v1.Tokens/RevokeTokens", Requirement::AnyToken, "POST", "/v1/tokens/revoke"),
    rpc("/patchbay.crypto.v1.Tokens/ListSessions", Requirement::AnyToken, "GET", "/v1/sessions"),
    rpc("/patchbay.crypto.v1.Tokens/GetKeySet", Requirement::Open, "GET", "/v1/tokens/key-set"),
    rpc("/patchbay.crypto.v1.Tokens/RotateSigningKey", scope("tokens", "rotate"), "POST", "/v1/tokens/rotate"),
    rpc("/patchbay.crypto.v1.Passwords/HashPassword", scope("passwords", "hash"), "POST", "/v1/passwords/hash"),
    rpc("/patchbay.crypto.v1.Passwords/VerifyPassword", scope("passwords", "verify"), "POST", "/v1/passwords/verify"),
    rpc("/patchbay.crypto.v1.Keys/CreateKey", Requirement::AnyScope(&[("keys", "create"), ("keys", "manage")]), "POST", "/v1/keys"),
    rpc("/patchbay.crypto.v1.Keys/ImportKey", Requirement::AnyScope(&[("keys", "import"), ("keys", "manage")]), "POST", "/v1/keys/{name}/import"),
    rpc("/patchbay.crypto.v1.Keys/GetKey", Requirement::AnyScope(&[("keys", "read"), ("keys", "manage")]), "GET", "/v1/keys/{name}"),
    rpc("/patchbay.crypto.v1.Keys/ListKeys", Requirement::AnyScope(&[("keys", "list"), ("keys", "manage")]), "GET", "/v1/keys"),
    rpc("/patchbay.crypto.v1.Keys/RotateKey", Requirement::AnyScope(&[("keys", "rotate"), ("keys", "manage")]), "POST", "/v1/keys/{name}/rotate"),
    rpc("/patchbay.crypto.v1.Keys/UpdateKeyConfig", scope("keys", "config"), "PATCH", "/v1/keys/{name}"),
    rpc("/patchbay.crypto.v1.Keys/DeleteKey", scope("keys", "delete"), "DELETE", "/v1/keys/{name}"),
    rpc("/patchbay.crypto.v1.Keys/SoftDeleteKey", scope("keys", "delete"), "POST", "/v1/keys/{name}/soft-delete"),
    rpc("/patchbay.crypto.v1.Keys/UndeleteKey", scope("keys", "delete"), "POST", "/v1/keys/{name}/undelete"),
    rpc("/patchbay.crypto.v1.Keys/TrimKey", Requirement::AnyScope(&[("keys", "trim"), ("keys", "manage")]), "POST", "/v1/keys/{name}/trim"),
    rpc("/patchbay.crypto.v1.Keys/ExportKey", Requirement::AnyScope(&[("keys", "export"), ("keys", "read"), ("keys", "manage")]), "POST", "/v1/keys/{name}/export"),
    rpc("/patchbay.crypto.v1.Keys/BackupKey", scope("keys", "backup"), "POST", "/v1/keys/{name}/backup"),
    rpc("/patchbay.crypto.v1.Keys/RestoreKey", scope("keys", "restore"), "POST", "/v1/keys/{name}/restore"),
    rpc("/patchbay.crypto.v1.Data/Encrypt", Requirement::AnyScope(&[("keys", "encrypt"), ("keys", "use")]), "POST", "/v1/keys/{key}/encrypt"),
    rpc("/patchbay.crypto.v1.Data/EncryptBatch", Requirement::AnyScope(&[("keys", "encrypt"), ("keys", "use")]), "POST", "/v1/batch/encrypt"),
    rpc("/patchbay.crypto.v1.Data/Decrypt", Requirement::AnyScope(&[("keys", "decrypt"), ("keys", "use")]), "POST", "/v1/keys/{key}/decrypt"),
    rpc("/patchbay.crypto.v1.Data/DecryptBatch", Requirement::AnyScope(&[("keys", "decrypt"), ("keys", "use")]), "POST", "/v1/batch/decrypt"),
    rpc("/patchbay.crypto.v1.Data/Rewrap", Requirement::AnyScope(&[("keys", "rewrap"), ("keys", "use")]), "POST", "/v1/keys/{key}/rewrap"),
    rpc("/patchbay.crypto.v1.Data/RewrapBatch", Requirement::AnyScope(&[("keys", "rewrap"), ("keys", "use")]), "POST", "/v1/batch/rewrap"),
    rpc("/patchbay.crypto.v1.Data/GenerateDataKey", Requirement::AnyScope(&[("keys", "datakey"), ("keys", "use")]), "POST", "/v1/keys/{key}/data-key"),
    rpc("/patchbay.crypto.v1.Data/GenerateDataKeyBatch", Requirement::AnyScope(&[("keys", "datakey"), ("keys", "use")]), "POST", "/v1/batch/data-key"),
    rpc("/patchbay.crypto.v1.Data/Sign", Requirement::AnyScope(&[("keys", "sign"), ("keys", "use")]), "POST", "/v1/keys/{key}/sign"),
    rpc("/patchbay.crypto.v1.Data/SignBatch", Requirement::AnyScope(&[("keys", "sign"), ("keys", "use")]), "POST", "/v1/batch/sign"),
    rpc("/patchbay.crypto.v1.Data/Verify", Requirement::AnyScope(&[("keys", "verify"), ("keys", "use")]), "POST", "/v1/keys/{key}/verify"),
    rpc("/patchbay.crypto.v1.Data/VerifyBatch", Requirement::AnyScope(&[("keys", "verify"), ("keys", "use")]), "POST", "/v1/batch/verify"),
    rpc("/patchbay.crypto.v1.Data/Hmac", Requirement::AnyScope(&[("keys", "hmac"), ("keys", "use")]), "POST", "/v1/keys/{key}/hmac"),
    rpc("/patchbay.crypto.v1.Data/HmacBatch", Requirement::AnyScope(&[("keys", "hmac"), ("keys", "use")]), "POST", "/v1/batch/hmac"),
    rpc("/patchbay.crypto.v1.Data/VerifyHmac", Requirement::AnyScope(&[("keys", "verify"), ("keys", "use")]), "POST", "/v1/keys/{key}/verify-hmac"),
    rpc("/patchbay.crypto.v1.Data/VerifyHmacBatch", Requirement::AnyScope(&[("keys", "verify"), ("keys", "use")]), "POST", "/v1/batch/verify-hmac"),
    rpc("/patchbay.crypto.v1.Data/SealEnvelope", Requirement::AnyScope(&[("keys", "encrypt"), ("keys", "use")]), "POST", "/v1/keys/{key}/seal-envelope"),
    rpc("/patchbay.crypto.v1.Data/SealEnvelopeBatch", Requirement::AnyScope(&[("keys", "encrypt"), ("keys", "use")]), "POST", "/v1/batch/seal-envelope"),
    rpc("/patchbay.crypto.v1.Data/OpenEnvelope", Requirement::AnyScope(&[("keys", "decrypt"), ("keys", "use")]), "POST", "/v1/keys/{key}/open-envelope"),
    rpc("/patchbay.crypto.v1.Data/OpenEnvelopeBatch", Requirement::AnyScope(&[("keys", "decrypt"), ("keys", "use")]), "POST", "/v1/batch/open-envelope"),
    rpc("/patchbay.crypto.v1.Data/Random", Requirement::AnyToken, "POST", "/v1/random"),
    rpc("/patchbay.crypto.v1.Data/RandomBatch", Requirement::AnyToken, "POST", "/v1/random/batch"),
    rpc("/patchbay.crypto.v1.Hash/Digest", Requirement::AnyToken, "POST", "/v1/digest"),
    rpc("/patchbay.crypto.v1.Hash/DigestBatch", Requirement::AnyToken, "POST", "/v1/digest/batch"),
    stream("/patchbay.crypto.v1.Hash/DigestStream", Requirement::AnyToken),
    rpc("/patchbay.crypto.v1.Encoding/Encode", Requirement::AnyToken, "POST", "/v1/encode"),
    rpc("/patchbay.crypto.v1.Encoding/Decode", Requirement::AnyToken, "POST", "/v1/decode"),
    rpc("/patchbay.crypto.v1.Encoding/EncodeQuery", Requirement::AnyToken, "POST", "/v1/encode-query"),
    rpc("/patchbay.crypto.v1.Encoding/DecodeQuery", Requirement::AnyToken, "POST", "/v1/decode-query"),
    rpc("/patchbay.crypto.v1.Admin/GetStatus", scope("crypto", "read"), "GET", "/v1/status"),
    rpc("/patchbay.crypto.v1.Admin/ListAudit", scope("crypto", "read"), "GET", "/v1/audit"),
    rpc("/patchbay.crypto.v1.Admin/VerifyAudit", scope("crypto", "read"), "POST", "/v1/audit/verify"),
    stream("/patchbay.crypto.v1.Admin/Backup", scope("crypto", "backup")),
    stream("/patchbay.crypto.v1.Admin/Restore", scope("crypto", "restore")),
];
