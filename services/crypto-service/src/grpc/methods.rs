//! The table of all methods: what each asks of its caller before it looks at the resource, and where it stands in REST.

use patchbay_auth::Requirement;

/// One method and its door.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/<package>.<Service>/<Method>`.
    pub path: &'static str,
    /// What it asks of its caller.
    pub requirement: Requirement,
    /// Where it stands in REST; streams do not.
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

/// One line a method: `Service/Method: who, VERB "path";`. Who is `open`, `any` (token), or scopes of which one is needed.
macro_rules! methods {
    ($($method:literal: $who:tt $([$($scope:literal . $action:literal),+])?, $($verb:ident $route:literal)?;)+) => {
        /// Every method. A method that is not here is refused.
        pub const METHODS: &[Method] = &[$(
            Method {
                path: concat!("/patchbay.crypto.v1.", $method),
                requirement: methods!(@$who $($(($scope, $action)),+)?),
                door: methods!(@door $($verb $route)?),
            },
        )+];
    };
    (@open) => { Requirement::Open };
    (@any) => { Requirement::AnyToken };
    (@scope ($service:literal, $action:literal)) => { Requirement::Scope { service: $service, action: $action } };
    (@scope $($scope:tt),+) => { Requirement::AnyScope(&[$($scope),+]) };
    (@door) => { None };
    (@door $verb:ident $route:literal) => { Some(Door { verb: stringify!($verb), path: $route }) };
}

methods! {
    "Accounts/GetSetup": open, GET "/v1/setup";
    "Accounts/Setup": open, POST "/v1/setup";
    "Accounts/CreateAccount": scope ["accounts"."write"], POST "/v1/accounts";
    "Accounts/GetAccount": any, GET "/v1/accounts/{name}";
    "Accounts/ListAccounts": scope ["accounts"."read"], GET "/v1/accounts";
    "Accounts/UpdateAccount": scope ["accounts"."write"], PATCH "/v1/accounts/{name}";
    "Accounts/DeleteAccount": scope ["accounts"."write"], DELETE "/v1/accounts/{name}";
    "Accounts/SetPassword": scope ["accounts"."write"], PUT "/v1/accounts/{name}/password";
    "Accounts/ChangePassword": any, POST "/v1/password";
    "Accounts/UnlockAccount": scope ["accounts"."write"], POST "/v1/accounts/{name}/unlock";
    "Accounts/PutGroup": scope ["accounts"."write"], PUT "/v1/groups";
    "Accounts/ListGroups": scope ["accounts"."read"], GET "/v1/groups";
    "Accounts/DeleteGroup": scope ["accounts"."write"], DELETE "/v1/groups/{name}";
    "Accounts/CreateApiKey": any, POST "/v1/api-keys";
    "Accounts/ListApiKeys": any, GET "/v1/api-keys";
    "Accounts/RevokeApiKey": any, DELETE "/v1/api-keys/{id}";
    "Accounts/CreateCredential": any, POST "/v1/credentials";
    "Accounts/ListCredentials": any, GET "/v1/credentials";
    "Accounts/DeleteCredential": any, DELETE "/v1/credentials/{protocol}/{username}";
    "Accounts/CheckCredential": scope ["accounts"."check"], POST "/v1/credentials/check";

    "Tokens/SignIn": open, POST "/v1/tokens/sign-in";
    "Tokens/Refresh": open, POST "/v1/tokens/refresh";
    "Tokens/SignOut": open, POST "/v1/tokens/sign-out";
    "Tokens/ExchangeApiKey": open, POST "/v1/tokens/api-key";
    "Tokens/MintToken": scope ["tokens"."mint"], POST "/v1/tokens";
    "Tokens/VerifyToken": any, POST "/v1/tokens/verify";
    "Tokens/RevokeTokens": any, POST "/v1/tokens/revoke";
    "Tokens/ListSessions": any, GET "/v1/sessions";
    "Tokens/GetKeySet": open, GET "/v1/tokens/key-set";
    "Tokens/RotateSigningKey": scope ["tokens"."rotate"], POST "/v1/tokens/rotate";

    "Passwords/HashPassword": scope ["passwords"."hash"], POST "/v1/passwords/hash";
    "Passwords/VerifyPassword": scope ["passwords"."verify"], POST "/v1/passwords/verify";

    "Keys/CreateKey": scope ["keys"."create", "keys"."manage"], POST "/v1/keys";
    "Keys/ImportKey": scope ["keys"."import", "keys"."manage"], POST "/v1/keys/{name}/import";
    "Keys/GetKey": scope ["keys"."read", "keys"."manage"], GET "/v1/keys/{name}";
    "Keys/ListKeys": scope ["keys"."list", "keys"."manage"], GET "/v1/keys";
    "Keys/RotateKey": scope ["keys"."rotate", "keys"."manage"], POST "/v1/keys/{name}/rotate";
    "Keys/UpdateKeyConfig": scope ["keys"."config"], PATCH "/v1/keys/{name}";
    "Keys/DeleteKey": scope ["keys"."delete"], DELETE "/v1/keys/{name}";
    "Keys/SoftDeleteKey": scope ["keys"."delete"], POST "/v1/keys/{name}/soft-delete";
    "Keys/UndeleteKey": scope ["keys"."delete"], POST "/v1/keys/{name}/undelete";
    "Keys/TrimKey": scope ["keys"."trim", "keys"."manage"], POST "/v1/keys/{name}/trim";
    "Keys/ExportKey": scope ["keys"."export", "keys"."read", "keys"."manage"], POST "/v1/keys/{name}/export";
    "Keys/BackupKey": scope ["keys"."backup"], POST "/v1/keys/{name}/backup";
    "Keys/RestoreKey": scope ["keys"."restore"], POST "/v1/keys/{name}/restore";
    "Keys/GetWrappingKey": any, GET "/v1/wrapping-key";
    "Keys/CreateCertificateRequest": scope ["keys"."csr", "keys"."manage"], POST "/v1/keys/{name}/csr";
    "Keys/SetCertificate": scope ["keys"."config"], PUT "/v1/keys/{name}/certificate";

    "Data/Encrypt": scope ["keys"."encrypt", "keys"."use"], POST "/v1/keys/{key}/encrypt";
    "Data/EncryptBatch": scope ["keys"."encrypt", "keys"."use"], POST "/v1/batch/encrypt";
    "Data/Decrypt": scope ["keys"."decrypt", "keys"."use"], POST "/v1/keys/{key}/decrypt";
    "Data/DecryptBatch": scope ["keys"."decrypt", "keys"."use"], POST "/v1/batch/decrypt";
    "Data/Rewrap": scope ["keys"."rewrap", "keys"."use"], POST "/v1/keys/{key}/rewrap";
    "Data/RewrapBatch": scope ["keys"."rewrap", "keys"."use"], POST "/v1/batch/rewrap";
    "Data/GenerateDataKey": scope ["keys"."datakey", "keys"."use"], POST "/v1/keys/{key}/data-key";
    "Data/GenerateDataKeyBatch": scope ["keys"."datakey", "keys"."use"], POST "/v1/batch/data-key";
    "Data/Sign": scope ["keys"."sign", "keys"."use"], POST "/v1/keys/{key}/sign";
    "Data/SignBatch": scope ["keys"."sign", "keys"."use"], POST "/v1/batch/sign";
    "Data/Verify": scope ["keys"."verify", "keys"."use"], POST "/v1/keys/{key}/verify";
    "Data/VerifyBatch": scope ["keys"."verify", "keys"."use"], POST "/v1/batch/verify";
    "Data/Hmac": scope ["keys"."hmac", "keys"."use"], POST "/v1/keys/{key}/hmac";
    "Data/HmacBatch": scope ["keys"."hmac", "keys"."use"], POST "/v1/batch/hmac";
    "Data/VerifyHmac": scope ["keys"."verify", "keys"."use"], POST "/v1/keys/{key}/verify-hmac";
    "Data/VerifyHmacBatch": scope ["keys"."verify", "keys"."use"], POST "/v1/batch/verify-hmac";
    "Data/SealEnvelope": scope ["keys"."encrypt", "keys"."use"], POST "/v1/keys/{key}/seal-envelope";
    "Data/SealEnvelopeBatch": scope ["keys"."encrypt", "keys"."use"], POST "/v1/batch/seal-envelope";
    "Data/OpenEnvelope": scope ["keys"."decrypt", "keys"."use"], POST "/v1/keys/{key}/open-envelope";
    "Data/OpenEnvelopeBatch": scope ["keys"."decrypt", "keys"."use"], POST "/v1/batch/open-envelope";
    "Data/Random": any, POST "/v1/random";
    "Data/RandomBatch": any, POST "/v1/random/batch";

    "Streams/EncryptStream": scope ["keys"."encrypt", "keys"."use"],;
    "Streams/DecryptStream": scope ["keys"."decrypt", "keys"."use"],;
    "Streams/GenerateStreamKey": scope ["keys"."datakey", "keys"."use"], POST "/v1/keys/{key}/stream-key";
    "Streams/OpenStreamKey": scope ["keys"."decrypt", "keys"."use"], POST "/v1/keys/{key}/open-stream-key";

    "Agreement/Agree": scope ["keys"."agree", "keys"."use"], POST "/v1/keys/{key}/agree";
    "Agreement/SealHpke": any, POST "/v1/hpke/seal";
    "Agreement/OpenHpke": scope ["keys"."decrypt", "keys"."use"], POST "/v1/keys/{key}/hpke/open";
    "Agreement/Encapsulate": any, POST "/v1/kem/encapsulate";
    "Agreement/Decapsulate": scope ["keys"."decrypt", "keys"."use"], POST "/v1/keys/{key}/decapsulate";

    "Seal/GetSealStatus": open, GET "/v1/seal";
    "Seal/InitializeSeal": scope ["crypto"."seal"], POST "/v1/seal/initialize";
    "Seal/Unseal": open, POST "/v1/seal/unseal";
    "Seal/CloseSeal": scope ["crypto"."seal"], POST "/v1/seal/close";
    "Seal/RotateRootKey": scope ["crypto"."rotate"], POST "/v1/seal/rotate-root";
    "Seal/BeginRekey": scope ["crypto"."seal"], POST "/v1/seal/rekey";
    "Seal/ConfirmRekey": scope ["crypto"."seal"], POST "/v1/seal/rekey/confirm";

    "Tls/Probe": scope ["tls"."probe"], POST "/v1/tls/probe";
    "Tls/InspectCertificates": any, POST "/v1/tls/inspect";
    "Tls/ListCertificates": scope ["tls"."read"], GET "/v1/certificates";

    "Hash/Digest": any, POST "/v1/digest";
    "Hash/DigestBatch": any, POST "/v1/digest/batch";
    "Hash/DigestStream": any,;

    "Encoding/Encode": any, POST "/v1/encode";
    "Encoding/Decode": any, POST "/v1/decode";
    "Encoding/EncodeQuery": any, POST "/v1/encode-query";
    "Encoding/DecodeQuery": any, POST "/v1/decode-query";

    "Admin/GetStatus": scope ["crypto"."read"], GET "/v1/status";
    "Admin/ListAudit": scope ["crypto"."read"], GET "/v1/audit";
    "Admin/VerifyAudit": scope ["crypto"."read"], POST "/v1/audit/verify";
    "Admin/Backup": scope ["crypto"."backup"],;
    "Admin/Restore": scope ["crypto"."restore"],;
}
