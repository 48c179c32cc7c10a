//! Every method of crypto-service by REST and by gRPC: who may call it and who may not, and what is refused before anybody is asked.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto_service::{METHODS, Method};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_auth::Requirement;
use patchbay_proto::crypto::v1::{
    CreateAccountRequest, CreateApiKeyRequest, RevokeApiKeyRequest, accounts_client::AccountsClient,
};
use patchbay_testkit::{keys::Keys, wait::wait_until};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, metadata::MetadataValue};
use tonic_types::StatusExt;

/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Name of the account that tokens are for: some methods are for accounts only.
const ACCOUNT: &str = "ada";

struct World {
    replica: Crypto,
    installation: Installation,
    folder: TempDir,
}

async fn world() -> Result<World> {
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto").await?;
    let mut accounts = AccountsClient::new(replica.client(&installation.admin()?)?);
    let account = CreateAccountRequest {
        name: ACCOUNT.to_owned(),
        password: "a long enough password".to_owned(),
        scopes: vec!["admin".to_owned()],
        ..Default::default()
    };
    accounts.create_account(account).await?;
    Ok(World { replica, installation, folder })
}

/// An answer to a REST request.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn reason(&self) -> String {
        self.json()["error"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request on its own connection.
async fn send(
    replica: &Crypto,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    timeout(PATIENCE, exchange(replica, verb, path, headers, body)).await.context("no answer in time")?
}

async fn exchange(
    replica: &Crypto,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let stream = TcpStream::connect(replica.http).await?;
    let (mut reader, mut writer) = stream.into_split();
    let mut head = format!("{verb} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    write!(head, "content-length: {}\r\n\r\n", body.len())?;
    let head = head.into_bytes();
    // A server may answer before it has read everything, so both go on at once. The sending half stays open until the answer is
    // there: one that is closed looks like a client that has gone.
    let sending = async {
        drop(writer.write_all(&head).await);
        drop(writer.write_all(body).await);
        std::future::pending().await
    };
    let mut bytes = Vec::new();
    let read = tokio::select! {
        read = reader.read_to_end(&mut bytes) => read,
        never = sending => never,
    };
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer: {read:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

async fn ask(replica: &Crypto, verb: &str, path: &str, token: Option<&str>, body: &Value) -> Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    send(replica, verb, path, &headers, &body).await
}

/// A path with a harmless word for each of its fields.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{protocol}" => "mqtt",
        segment if segment.starts_with('{') => "nobody-has-this",
        segment => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Scopes that a method takes, each of which is enough.
fn scopes(method: &Method) -> Vec<String> {
    match method.requirement {
        Requirement::Open | Requirement::AnyToken => Vec::new(),
        Requirement::Scope { service, action } => vec![format!("{service}:{action}:*")],
        Requirement::AnyScope(scopes) => {
            // The public half of a key is all that reading it gives.
            let is_export = method.path.ends_with("/ExportKey");
            let taken = scopes.iter().take(if is_export { 1 } else { scopes.len() });
            taken.map(|(service, action)| format!("{service}:{action}:*")).collect()
        }
    }
}

/// A scope that is none of this service's.
const ELSEWHERE: &str = "chat:publish:room/lobby";

/// What a caller was told: nothing against him, or the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    LetIn,
    NoToken(String),
    Denied,
}

/// Reasons for which a token itself is refused begin so.
const TOKEN: &str = "TOKEN_";

fn verdict(is_unauthenticated: bool, is_denied: bool, reason: &str) -> Verdict {
    match (is_unauthenticated, is_denied) {
        (true, _) if reason.starts_with(TOKEN) => Verdict::NoToken(reason.to_owned()),
        (_, true) => Verdict::Denied,
        _ => Verdict::LetIn,
    }
}

async fn by_rest(replica: &Crypto, method: &Method, token: Option<&str>) -> Result<Verdict> {
    let door = method.door.context("it has no door")?;
    let body = if matches!(door.verb, "GET" | "DELETE") { Value::Null } else { json!({}) };
    let answer = ask(replica, door.verb, &filled(door.path), token, &body).await?;
    assert!(
        ![404, 405, 501].contains(&answer.status) || answer.reason() == "NOT_FOUND",
        "{method:?}: {answer:?}"
    );
    assert!(
        answer.status == 200 || !answer.reason().is_empty(),
        "an error in its form: {method:?} {answer:?}"
    );
    Ok(verdict(answer.status == 401, answer.status == 403, &answer.reason()))
}

async fn by_grpc(replica: &Crypto, method: &Method, token: Option<&str>) -> Result<Verdict> {
    let mut client = tonic::client::Grpc::new(replica.stranger()?);
    client.ready().await?;
    let mut request = tonic::Request::new(());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}"))?);
    }
    // One message there and any number back fits every kind of method.
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answer = client.server_streaming(request, method.path.parse()?, codec).await;
    let refused = match answer {
        Ok(answer) => answer.into_inner().message().await.err(),
        Err(status) => Some(status),
    };
    let Some(status) = refused else { return Ok(Verdict::LetIn) };
    assert_ne!(status.code(), Code::Unimplemented, "{method:?}");
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let code = status.code();
    Ok(verdict(code == Code::Unauthenticated, code == Code::PermissionDenied, &reason))
}

/// Checks every cell of the table for one way in.
async fn check_table(
    world: &World,
    methods: impl Iterator<Item = &'static Method>,
    call: impl AsyncFn(&Crypto, &Method, Option<&str>) -> Result<Verdict>,
) -> Result<usize> {
    let (mut cells, keys) = (0, &world.installation.keys);
    let admin = keys.token(ACCOUNT, &["admin"])?;
    let elsewhere = keys.token(ACCOUNT, &[ELSEWHERE])?;
    for method in methods {
        let told = async |token: Option<&str>| call(&world.replica, method, token).await;
        let nobody = told(None).await?;
        let stranger = told(Some(&elsewhere)).await?;
        match method.requirement {
            Requirement::Open => assert_eq!(nobody, Verdict::LetIn, "{method:?}"),
            _ => assert_eq!(nobody, Verdict::NoToken("TOKEN_MISSING".to_owned()), "{method:?}"),
        }
        if !scopes(method).is_empty() {
            assert_eq!(stranger, Verdict::Denied, "{method:?}");
        }
        assert!(!matches!(stranger, Verdict::NoToken(_)), "{method:?}: {stranger:?}");
        assert_eq!(told(Some(&admin)).await?, Verdict::LetIn, "{method:?}");
        for scope in scopes(method) {
            let enough = keys.token(ACCOUNT, &[&scope])?;
            assert_eq!(told(Some(&enough)).await?, Verdict::LetIn, "{method:?} with {scope}");
            cells += 1;
        }
        cells += 3;
    }
    Ok(cells)
}

#[tokio::test]
async fn every_door_asks_for_what_the_table_says() -> TestResult {
    let world = world().await?;
    let doors = METHODS.iter().filter(|method| method.door.is_some());
    let cells = check_table(&world, doors, by_rest).await?;
    report(&format!("REST: {cells} cells of the table"));
    assert!(cells > 300, "{cells}");
    Ok(())
}

#[tokio::test]
async fn every_method_asks_for_what_the_table_says() -> TestResult {
    let world = world().await?;
    let cells = check_table(&world, METHODS.iter(), by_grpc).await?;
    report(&format!("gRPC: {cells} cells of the table"));
    assert!(cells > 300, "{cells}");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "tokens are made in the real time, as the service's are")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Tokens that nobody may get in with, and the reason.
fn bad_tokens(world: &World) -> Result<Vec<(String, &'static str)>> {
    let (keys, now) = (&world.installation.keys, now());
    let claims = |aud: &str, iat: u64| json!({"iss": "patchbay", "aud": aud, "sub": ACCOUNT, "iat": iat, "exp": iat + 600, "scope": "admin"});
    let folder = world.folder.path().join("forger");
    std::fs::create_dir_all(&folder)?;
    let forged = Keys::create(&folder)?.sign(&claims("patchbay", now))?;
    let good = keys.sign(&claims("patchbay", now))?;
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "JWT"}).to_string());
    let payload = URL_SAFE_NO_PAD.encode(claims("patchbay", now).to_string());
    let (signed, _) = good.rsplit_once('.').context("no signature")?;
    Ok(vec![
        (forged, "TOKEN_UNKNOWN_KEY"),
        (keys.sign(&claims("patchbay", now - 3600))?, "TOKEN_EXPIRED"),
        (keys.sign(&claims("elsewhere", now))?, "TOKEN_WRONG_AUDIENCE"),
        (format!("{header}.{payload}."), "TOKEN_WRONG_ALGORITHM"),
        (format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])), "TOKEN_BAD_SIGNATURE"),
        ("nonsense".to_owned(), "TOKEN_MALFORMED"),
    ])
}

#[tokio::test]
async fn bad_tokens_open_no_door() -> TestResult {
    let world = world().await?;
    for (token, reason) in bad_tokens(&world)? {
        for method in METHODS.iter().filter(|method| method.requirement != Requirement::Open) {
            let expected = Verdict::NoToken(reason.to_owned());
            assert_eq!(by_grpc(&world.replica, method, Some(&token)).await?, expected, "{method:?}");
            if method.door.is_some() {
                assert_eq!(by_rest(&world.replica, method, Some(&token)).await?, expected, "{method:?}");
            }
        }
        let vault =
            send(&world.replica, "LIST", "/v1/transit/keys", &[("x-vault-token", &token)], b"").await?;
        assert_eq!(vault.status, 403, "{vault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() -> TestResult {
    let world = world().await?;
    let (replica, admin) = (&world.replica, world.installation.admin()?);
    let bearer = format!("Bearer {admin}");
    let json = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let check =
        async |verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8], expected: (u16, &str)| {
            let answer = send(replica, verb, path, headers, body).await?;
            assert_eq!((answer.status, answer.reason().as_str()), expected, "{verb} {path}: {answer:?}");
            anyhow::Ok(answer)
        };
    check("POST", "/v1/encode", &json, b"{\"data\": ", (400, "BAD_REQUEST")).await?;
    check("POST", "/v1/encode", &json, b"[]", (400, "BAD_REQUEST")).await?;
    check("POST", "/v1/encode", &json, br#"{"dta": "aGk="}"#, (400, "BAD_REQUEST")).await?;
    check("POST", "/v1/encode", &json, br#"{"data": "%%%"}"#, (400, "BAD_REQUEST")).await?;
    check("POST", "/v1/keys/a/encrypt", &json, br#"{"key": "b"}"#, (400, "BAD_REQUEST")).await?;
    check("GET", "/v1/keys?page_sise=1", &json, b"", (400, "BAD_REQUEST")).await?;
    check("DELETE", "/v1/encode", &json, b"", (405, "METHOD_NOT_ALLOWED")).await?;
    check("GET", "/v1/nothing", &json, b"", (404, "NO_SUCH_PATH")).await?;
    let plain = [("content-type", "text/plain"), ("authorization", bearer.as_str())];
    check("POST", "/v1/encode", &plain, b"{}", (415, "NOT_JSON")).await?;
    let large = vec![b' '; 5 << 20];
    check("POST", "/v1/encode", &json, &large, (413, "TOO_LARGE")).await?;
    let two = [("x-vault-token", "a"), ("authorization", bearer.as_str())];
    check("GET", "/v1/keys", &two, b"", (400, "TWO_TOKENS")).await?;
    let good = check(
        "POST",
        "/v1/encode",
        &json,
        br#"{"data": "aGk=", "encoding": "TEXT_ENCODING_HEX"}"#,
        (200, ""),
    )
    .await?;
    assert_eq!(good.json()["text"], "6869");
    assert!(good.head.contains("cache-control: no-store"), "{good:?}");
    Ok(())
}

#[tokio::test]
async fn keys_are_used_through_rest() -> TestResult {
    let world = world().await?;
    let admin = world.installation.admin()?;
    let call = async |verb: &str, path: &str, body: Value| {
        let answer = ask(&world.replica, verb, path, Some(&admin), &body).await?;
        assert_eq!(answer.status, 200, "{verb} {path}: {answer:?}");
        anyhow::Ok(answer.json())
    };
    let made = call("POST", "/v1/keys", json!({"name": "app", "type": "KEY_TYPE_XAES256_GCM"})).await?;
    assert_eq!((&made["is_new"], &made["key"]["latest_version"]), (&json!(true), &json!(1)));
    let sealed =
        call("POST", "/v1/keys/app/encrypt", json!({"plaintext": "aGVsbG8=", "associated_data": "cm93"}))
            .await?;
    let opened = call(
        "POST",
        "/v1/keys/app/decrypt",
        json!({"ciphertext": sealed["ciphertext"], "associated_data": "cm93"}),
    );
    assert_eq!(opened.await?["plaintext"], "aGVsbG8=");
    assert_eq!(call("GET", "/v1/keys?prefix=ap&page_size=10", Value::Null).await?["keys"][0]["name"], "app");
    assert_eq!(call("GET", "/v1/accounts/ada", Value::Null).await?["account"]["name"], "ada");
    let group = json!({"group": {"name": "readers", "scopes": ["keys:read:*"]}});
    let group = call("PUT", "/v1/groups", group).await?;
    assert_eq!(group["group"]["name"], "readers");
    Ok(())
}

#[tokio::test]
async fn a_body_of_any_size_is_hashed_as_it_comes() -> TestResult {
    let world = world().await?;
    let bearer = format!("Bearer {}", world.installation.keys.token("somebody", &[])?);
    let headers = [("authorization", bearer.as_str())];
    let path = "/v1/digest/stream?algorithm=sha2-256&algorithm=sha512";
    let body = vec![b'a'; 20 << 20];
    let answer = send(&world.replica, "POST", path, &headers, &body).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    // printf 'a%.0s' {1..20971520} | sha256sum
    let expected = patchbay_crypto::digest::Algorithm::Sha256.digest(&body);
    let expected = hex::encode(expected);
    assert_eq!((&told["digests"][0]["hex"], &told["size"]), (&json!(expected), &json!("20971520")));
    assert_eq!(told["digests"][1]["hex"].as_str().map(str::len), Some(128));
    let refused = send(&world.replica, "POST", "/v1/digest/stream?algorithm=md5", &headers, b"abc").await?;
    assert_eq!((refused.status, refused.reason().as_str()), (400, "UNSAFE_ALGORITHM"), "{refused:?}");
    let allowed = "/v1/digest/stream?algorithm=md5&allow_unsafe=true";
    let done = send(&world.replica, "POST", allowed, &headers, b"abc").await?;
    assert_eq!(done.json()["digests"][0]["hex"], "900150983cd24fb0d6963f7d28e17f72");
    let nobody = send(&world.replica, "POST", path, &[], b"abc").await?;
    assert_eq!((nobody.status, nobody.reason().as_str()), (401, "TOKEN_MISSING"));
    let odd = send(&world.replica, "POST", "/v1/digest/stream?algorithm=crc", &headers, b"abc").await?;
    assert_eq!((odd.status, odd.reason().as_str()), (400, "BAD_REQUEST"));
    Ok(())
}

#[tokio::test]
async fn anybody_may_read_the_public_keys() -> TestResult {
    let world = world().await?;
    let answer = send(&world.replica, "GET", "/.well-known/jwks.json", &[], b"").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys = answer.json()["keys"].as_array().cloned().unwrap_or_default();
    assert!(
        keys.len() >= 2 && keys.iter().all(|key| key["kty"] == "OKP" && key.get("d").is_none()),
        "{answer:?}"
    );
    assert!(answer.head.contains("cache-control: public, max-age=60"), "{answer:?}");
    assert!(answer.head.contains("access-control-allow-origin: *"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn an_api_key_stands_for_a_token_until_it_is_revoked() -> TestResult {
    let world = world().await?;
    let replica = &world.replica;
    let mut accounts = AccountsClient::new(replica.client(&world.installation.admin()?)?);
    let request = CreateApiKeyRequest { account: ACCOUNT.to_owned(), ..Default::default() };
    let made = accounts.create_api_key(request).await?.into_inner();
    let id = made.api_key.context("no key")?.id;
    for _ in 0..3 {
        let answer = ask(replica, "GET", "/v1/keys", Some(&made.secret), &Value::Null).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    accounts.revoke_api_key(RevokeApiKeyRequest { id }).await?;
    wait_until("the key is refused", Duration::from_secs(5), async || {
        let answer = ask(replica, "GET", "/v1/keys", Some(&made.secret), &Value::Null).await;
        answer.is_ok_and(|answer| answer.status == 401 && answer.reason() == "API_KEY_INVALID")
    })
    .await?;
    assert!(!replica.process.log().contains(&made.secret));
    Ok(())
}
