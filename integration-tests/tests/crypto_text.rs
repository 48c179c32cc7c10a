//! Digests, encodings and other applications' passwords, as a backend sees them.

use anyhow::Result;
use bytes::Bytes;
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_crypto::encoding::Encoding;
use patchbay_proto::crypto::v1::{
    self as pb, DigestAlgorithm, PasswordAlgorithm, TextEncoding, digest_result,
    encoding_client::EncodingClient, hash_client::HashClient, passwords_client::PasswordsClient,
};
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Of `abc`.
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const SHA3_224: &str = "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf";
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

struct World {
    installation: Installation,
    crypto: Crypto,
    _folder: TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        // Quick hashes: their strength is tested where they are computed.
        let settings = Settings::default()
            .set("passwords.argon2_memory", "64KiB")
            .set("passwords.argon2_passes", "1")
            .set("passwords.bcrypt_cost", "10")
            .set("passwords.scrypt_log_n", "14")
            .set("passwords.pbkdf2_iterations", "100000")
            .set("limits.batch", "3")
            .set("limits.message", "64KiB");
        let installation = Installation::create(folder.path(), settings)?;
        let crypto = installation.start("crypto").await?;
        Ok(Self { installation, crypto, _folder: folder })
    }

    fn with(&self, scopes: &[&str]) -> Result<Client> {
        self.crypto.client(&self.installation.keys.token("backend", scopes)?)
    }

    /// Any token may ask for digests and encodings: this one allows something else.
    fn anybody(&self) -> Result<Client> {
        self.with(&["chat:publish:room/lobby"])
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[track_caller]
fn assert_refused<T>(answer: Result<tonic::Response<T>, Status>, code: Code, expected: &str) -> Status {
    let Err(status) = answer else { panic!("it was not refused") };
    assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{status}");
    status
}

/// The field that is wrong.
fn field(status: &Status) -> String {
    let violations =
        status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

fn digest(algorithm: DigestAlgorithm, data: &'static [u8]) -> pb::DigestRequest {
    pb::DigestRequest { algorithm: algorithm.into(), data: data.into(), allow_unsafe: false }
}

fn piece(algorithms: &[DigestAlgorithm], chunk: Vec<u8>) -> pb::DigestStreamRequest {
    let algorithms = algorithms.iter().map(|algorithm| (*algorithm).into()).collect();
    pb::DigestStreamRequest { algorithms, allow_unsafe: false, chunk: chunk.into() }
}

#[tokio::test]
async fn digests_one_and_many() -> TestResult {
    let world = World::start().await?;
    let mut hash = HashClient::new(world.anybody()?);
    let answer = hash.digest(digest(DigestAlgorithm::Unspecified, b"abc")).await?.into_inner();
    assert_eq!((answer.hex.as_str(), Encoding::Hex.encode(&answer.digest).as_str()), (SHA256, SHA256));
    assert!(!answer.is_unsafe);
    assert_refused(
        hash.digest(digest(DigestAlgorithm::Md5, b"abc")).await,
        Code::InvalidArgument,
        "UNSAFE_ALGORITHM",
    );
    let knowing = pb::DigestRequest { allow_unsafe: true, ..digest(DigestAlgorithm::Md5, b"abc") };
    let answer = hash.digest(knowing).await?.into_inner();
    assert_eq!((answer.hex.as_str(), answer.is_unsafe), (MD5, true));
    let unknown = pb::DigestRequest { algorithm: 99, ..digest(DigestAlgorithm::Md5, b"") };
    let status = assert_refused(hash.digest(unknown).await, Code::InvalidArgument, "BAD_REQUEST");
    assert_eq!(field(&status), "algorithm");
    let large =
        pb::DigestRequest { data: vec![0; 64 * 1024 + 1].into(), ..digest(DigestAlgorithm::Sha2256, b"") };
    assert_refused(hash.digest(large.clone()).await, Code::InvalidArgument, "TOO_LARGE");

    let items = vec![digest(DigestAlgorithm::Sha3224, b"abc"), large, digest(DigestAlgorithm::Sha1, b"")];
    let answer = hash.digest_batch(pb::DigestBatchRequest { items: items.clone() }).await?.into_inner();
    let outcomes: Vec<String> = answer
        .results
        .into_iter()
        .map(|result| match result.outcome {
            Some(digest_result::Outcome::Ok(response)) => response.hex,
            Some(digest_result::Outcome::Error(error)) => error.reason,
            None => String::new(),
        })
        .collect();
    assert_eq!(outcomes, [SHA3_224, "TOO_LARGE", "UNSAFE_ALGORITHM"]);
    let items = [items, vec![digest(DigestAlgorithm::Sha2256, b"")]].concat();
    let status = assert_refused(
        hash.digest_batch(pb::DigestBatchRequest { items }).await,
        Code::InvalidArgument,
        "BAD_REQUEST",
    );
    assert_eq!(field(&status), "items");
    let stranger =
        HashClient::new(world.crypto.stranger()?).digest(digest(DigestAlgorithm::Sha2256, b"")).await;
    assert!(stranger.is_err_and(|status| status.code() == Code::Unauthenticated));
    Ok(())
}

#[tokio::test]
async fn a_file_is_hashed_by_several_in_one_pass() -> TestResult {
    let world = World::start().await?;
    let mut hash = HashClient::new(world.anybody()?);
    let file: Vec<u8> = (0..2_500_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let asked = [DigestAlgorithm::Sha2512, DigestAlgorithm::Blake2b512, DigestAlgorithm::Sha3224];
    let expected = [
        patchbay_crypto::digest::Algorithm::Sha512,
        patchbay_crypto::digest::Algorithm::Blake2b512,
        patchbay_crypto::digest::Algorithm::Sha3_224,
    ]
    .map(|algorithm| Bytes::from(algorithm.digest(&file)));
    let mut pieces = vec![piece(&asked, Vec::new())];
    pieces.extend(file.chunks(300_000).map(|chunk| piece(&[], chunk.to_vec())));
    let answer = hash.digest_stream(futures_util::stream::iter(pieces)).await?.into_inner();
    assert_eq!(answer.size, 2_500_000);
    let digests: Vec<Bytes> = answer.digests.into_iter().map(|digest| digest.digest).collect();
    assert_eq!(digests, expected);

    let one = [DigestAlgorithm::Sha2256];
    for (pieces, wrong) in [
        (vec![], "nothing at all"),
        (vec![piece(&[], b"abc".to_vec())], "no algorithm"),
        (vec![piece(&[DigestAlgorithm::Sha2256; 13], vec![])], "too many algorithms"),
        (vec![piece(&one, vec![]), piece(&one, vec![])], "named again"),
    ] {
        let answer = hash.digest_stream(futures_util::stream::iter(pieces)).await;
        let Err(status) = answer else { panic!("{wrong} was not refused") };
        assert_eq!(
            (reason(&status).as_str(), field(&status).as_str()),
            ("BAD_REQUEST", "algorithms"),
            "{wrong}"
        );
    }
    let broken = vec![piece(&[DigestAlgorithm::Sha2256, DigestAlgorithm::Sha1], vec![])];
    assert_refused(
        hash.digest_stream(futures_util::stream::iter(broken)).await,
        Code::InvalidArgument,
        "UNSAFE_ALGORITHM",
    );
    Ok(())
}

#[tokio::test]
async fn text_is_encoded_and_decoded() -> TestResult {
    let world = World::start().await?;
    let mut encoding = EncodingClient::new(world.anybody()?);
    for (how, text) in [
        (TextEncoding::Unspecified, "YSAr/w=="),
        (TextEncoding::Base64, "YSAr/w=="),
        (TextEncoding::Base64url, "YSAr_w"),
        (TextEncoding::Url, "a%20%2B%FF"),
        (TextEncoding::Query, "a+%2B%FF"),
        (TextEncoding::Hex, "61202bff"),
    ] {
        let data = Bytes::from_static(b"a +\xff");
        let encode = pb::EncodeRequest { encoding: how.into(), data: data.clone() };
        assert_eq!(encoding.encode(encode).await?.into_inner().text, text);
        let decode = pb::DecodeRequest { encoding: how.into(), text: text.to_owned() };
        assert_eq!(encoding.decode(decode).await?.into_inner().data, data);
    }
    let wrong = pb::DecodeRequest { encoding: TextEncoding::Url.into(), text: "ab%4".to_owned() };
    let status = assert_refused(encoding.decode(wrong).await, Code::InvalidArgument, "BAD_REQUEST");
    assert!(field(&status) == "text" && status.message().contains("position 2 "), "{status}");
    let unknown = pb::EncodeRequest { encoding: 99, data: Bytes::new() };
    let status = assert_refused(encoding.encode(unknown).await, Code::InvalidArgument, "BAD_REQUEST");
    assert_eq!(field(&status), "encoding");
    let large = pb::EncodeRequest { encoding: 0, data: vec![0; 64 * 1024 + 1].into() };
    assert_refused(encoding.encode(large).await, Code::InvalidArgument, "TOO_LARGE");

    let pair = |name: &str, value: &str| pb::QueryPair { name: name.to_owned(), value: value.to_owned() };
    let pairs = vec![pair("用户", "a b"), pair("", "&="), pair("x", "")];
    let query = "%E7%94%A8%E6%88%B7=a+b&=%26%3D&x=";
    let encode = pb::EncodeQueryRequest { pairs: pairs.clone() };
    assert_eq!(encoding.encode_query(encode).await?.into_inner().query, query);
    for query in [query.to_owned(), format!("?{query}")] {
        let decoded = encoding.decode_query(pb::DecodeQueryRequest { query }).await?.into_inner().pairs;
        assert!(decoded == pairs);
    }
    let wrong = pb::DecodeQueryRequest { query: "a=%FF".to_owned() };
    let status = assert_refused(encoding.decode_query(wrong).await, Code::InvalidArgument, "BAD_REQUEST");
    assert!(field(&status) == "query" && status.message().contains("position 2 "), "{status}");
    Ok(())
}

#[tokio::test]
async fn passwords_are_hashed_and_checked_by_whoever_may() -> TestResult {
    let world = World::start().await?;
    let mut hashing = PasswordsClient::new(world.with(&["passwords:hash:*"])?);
    let mut checking = PasswordsClient::new(world.with(&["passwords:verify:*"])?);
    for (algorithm, start) in [
        (PasswordAlgorithm::Unspecified, "$argon2id$v=19$m=64,t=1,p=1$"),
        (PasswordAlgorithm::Argon2id, "$argon2id$v=19$m=64,t=1,p=1$"),
        (PasswordAlgorithm::Bcrypt, "$2b$10$"),
        (PasswordAlgorithm::Scrypt, "$scrypt$ln=14,r=8,p=1$"),
        (PasswordAlgorithm::Pbkdf2Sha256, "$pbkdf2-sha256$i=100000,l=32$"),
    ] {
        for pepper in [false, true] {
            let request = pb::HashPasswordRequest {
                password: "correct horse".to_owned(),
                algorithm: algorithm.into(),
                pepper,
            };
            let hash = hashing.hash_password(request).await?.into_inner().hash;
            let start = if pepper { format!("$pepper{start}") } else { start.to_owned() };
            assert!(hash.starts_with(&start), "{hash}");
            for (password, is_valid) in [("correct horse", true), ("correct house", false)] {
                let request = pb::VerifyPasswordRequest { password: password.to_owned(), hash: hash.clone() };
                let answer = checking.verify_password(request).await?.into_inner();
                assert_eq!((answer.is_valid, answer.needs_rehash), (is_valid, false), "{hash}");
            }
        }
    }
    let weak =
        "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for (password, hash, wrong) in [
        ("", weak, "password"),
        ("x", "no hash", "hash"),
        ("x", "$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg", "hash"),
        ("x", "$argon2id$v=19$m=64,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg", "hash"),
    ] {
        let request = pb::VerifyPasswordRequest { password: password.to_owned(), hash: hash.to_owned() };
        let status =
            assert_refused(checking.verify_password(request).await, Code::InvalidArgument, "BAD_REQUEST");
        assert_eq!(field(&status), wrong, "{status}");
    }
    let request = pb::HashPasswordRequest { password: "x".to_owned(), ..Default::default() };
    for scopes in [&["passwords:verify:*"][..], &["passwords:hash:app-*"], &["keys:use:*"]] {
        let answer = PasswordsClient::new(world.with(scopes)?).hash_password(request.clone()).await;
        assert_refused(answer, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    let request = pb::VerifyPasswordRequest { password: "x".to_owned(), hash: weak.to_owned() };
    assert_refused(hashing.verify_password(request).await, Code::PermissionDenied, "PERMISSION_DENIED");
    assert!(!world.crypto.process.log().contains("correct horse"), "passwords are not logged");
    Ok(())
}
