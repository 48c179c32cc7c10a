//! What is refused, and in which words.

use crate::world::{CHUNK, HEADER, KEY, SEALED_CHUNK, World, decrypt, encrypt, message, pieces, reason};
use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use integration_tests::verdict::TestResult;
use patchbay_proto::crypto::v1::{self as pb, KeyType, streams_client::StreamsClient};
use tonic::Code;

#[tokio::test]
async fn a_message_that_was_tampered_with_is_refused_and_gives_only_what_is_genuine() -> TestResult {
    let world = World::start().await?;
    let plain = message(3 * CHUNK + 9);
    let sealed = world.encrypt(pieces(&plain, 100_000), "").await?;
    let chunk = |number: usize| &sealed[HEADER + number * SEALED_CHUNK..HEADER + (number + 1) * SEALED_CHUNK];
    let last = &sealed[HEADER + 3 * SEALED_CHUNK..];
    let header = &sealed[..HEADER];
    let mut flipped = sealed.clone();
    flipped[HEADER + SEALED_CHUNK + 5] ^= 1;
    for (what, tampered, genuine) in [
        ("cut at a border", [header, chunk(0), chunk(1), chunk(2)].concat(), 3),
        ("cut in a chunk", sealed[..HEADER + SEALED_CHUNK + 100].to_vec(), 1),
        ("cut in the header", header[..40].to_vec(), 0),
        ("moved", [header, chunk(1), chunk(0), chunk(2), last].concat(), 0),
        ("doubled", [header, chunk(0), chunk(0), chunk(1), last].concat(), 1),
        ("added", [&sealed[..], &[0]].concat(), 3),
        ("changed", flipped, 1),
        ("without a chunk", header.to_vec(), 0),
        ("something else", vec![7; 1000], 0),
        ("nothing", Vec::new(), 0),
    ] {
        let found =
            decrypt(world.streams()?, KEY, Bytes::new(), stream::iter(pieces(&tampered, 10_000))).await;
        let status = found.ended.expect_err(what);
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "DECRYPTION_FAILED"),
            "{what}"
        );
        assert!(found.plaintext == plain[..genuine * CHUNK], "{what}: {} bytes", found.plaintext.len());
    }
    Ok(())
}

#[tokio::test]
async fn keys_that_cannot_say_which_can() -> TestResult {
    let world = World::start().await?;
    world.key("text", KeyType::Xaes256Gcm).await?;
    let status = encrypt(world.streams()?, "text", vec![], "").await.unwrap_err();
    assert_eq!(reason(&status), "KEY_TYPE");
    assert!(status.message().contains("aes256-gcm-chunked"), "{}", status.message());
    for (key, expected) in [("nobody", "NOT_FOUND"), ("", "BAD_REQUEST"), ("a/b", "BAD_REQUEST")] {
        let status = encrypt(world.streams()?, key, vec![], "").await.unwrap_err();
        assert_eq!(reason(&status), expected, "{key}");
    }
    let long = "x".repeat(64 * 1024 + 1);
    assert_eq!(reason(&encrypt(world.streams()?, KEY, vec![], &long).await.unwrap_err()), "TOO_LARGE");
    let most = "x".repeat(64 * 1024);
    assert!(encrypt(world.streams()?, KEY, vec![], &most).await.is_ok());
    world.keys()?.soft_delete_key(pb::SoftDeleteKeyRequest { name: KEY.into() }).await?;
    assert_eq!(reason(&encrypt(world.streams()?, KEY, vec![], "").await.unwrap_err()), "KEY_DISABLED");
    Ok(())
}

#[tokio::test]
async fn what_belongs_into_the_first_message_is_refused_later() -> TestResult {
    let world = World::start().await?;
    let first = pb::EncryptStreamRequest { key: KEY.into(), ..Default::default() };
    for (second, field) in [
        (pb::EncryptStreamRequest { key: KEY.into(), ..Default::default() }, "key"),
        (pb::EncryptStreamRequest { associated_data: "a".into(), ..Default::default() }, "associated_data"),
        (pb::EncryptStreamRequest { key_version: 1, ..Default::default() }, "key_version"),
    ] {
        let mut client = world.streams()?;
        let mut answers = client.encrypt_stream(stream::iter([first.clone(), second])).await?.into_inner();
        let status = loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{field} was taken"),
                Err(status) => break status,
            }
        };
        assert_eq!(reason(&status), "BAD_REQUEST");
        assert!(status.message().contains(field), "{}", status.message());
    }
    let mut client = world.streams()?;
    let status = client.encrypt_stream(stream::iter([])).await.unwrap_err();
    assert_eq!(reason(&status), "BAD_REQUEST", "nothing at all");
    Ok(())
}

#[tokio::test]
async fn a_scope_is_for_one_operation_on_one_key() -> TestResult {
    let world = World::start().await?;
    let sealed = world.encrypt(vec![Bytes::from_static(b"abc")], "").await?;
    let header = Bytes::copy_from_slice(&sealed[..HEADER]);
    for (scope, allowed) in [
        ("keys:encrypt:files", "e"),
        ("keys:decrypt:files", "do"),
        ("keys:datakey:files", "g"),
        ("keys:use:files", "edog"),
        ("keys:use:other", ""),
        ("keys:manage:files", ""),
    ] {
        assert_eq!(possible(&world, scope, &sealed, &header).await?, allowed, "{scope}");
    }
    Ok(())
}

/// Which of the four calls a scope allows.
async fn possible(world: &World, scope: &str, sealed: &[u8], header: &Bytes) -> Result<String> {
    let client = || anyhow::Ok(StreamsClient::new(world.with(&[scope])?));
    let mut found = String::new();
    let mut note = |letter, status: Option<tonic::Status>| match status {
        None => found.push(letter),
        Some(status) => assert_eq!(status.code(), Code::PermissionDenied, "{scope} {letter}: {status}"),
    };
    note('e', encrypt(client()?, KEY, vec![], "").await.err());
    note('d', decrypt(client()?, KEY, Bytes::new(), stream::iter(pieces(sealed, 100))).await.ended.err());
    let open = pb::OpenStreamKeyRequest { key: KEY.into(), header: header.clone(), ..Default::default() };
    note('o', client()?.open_stream_key(open).await.err());
    let generate = pb::GenerateStreamKeyRequest { key: KEY.into(), ..Default::default() };
    note('g', client()?.generate_stream_key(generate).await.err());
    Ok(found)
}
