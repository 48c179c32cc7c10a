//! Over gRPC: round trips, ranges, keys of one message, and how much memory it takes.

use crate::world::{
    CHUNK, HEADER, KEY, SEALED_CHUNK, World, decrypt, decrypt_after, message, pieces, reason,
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use integration_tests::{report::report, verdict::TestResult};
use patchbay_crypto::chunked::Algorithm;
use patchbay_proto::crypto::v1::{self as pb, KeyType};
use std::fs;

#[tokio::test]
async fn messages_come_back_however_they_are_cut() -> TestResult {
    let world = World::start().await?;
    for length in [0, 1, CHUNK, 3 * CHUNK, 1_000_003] {
        let plain = message(length);
        for size in [1_000, CHUNK, 700_000] {
            let sealed = world.encrypt(pieces(&plain, size), "invoice 7").await?;
            assert_eq!(sealed.len(), HEADER + length + (length / CHUNK + 1) * 16);
            assert_eq!(sealed[0], 3);
            let found =
                decrypt(world.streams()?, KEY, "invoice 7".into(), stream::iter(pieces(&sealed, size + 1)))
                    .await;
            found.ended?;
            assert!(found.plaintext == plain, "{length} bytes in pieces of {size}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_old_version_still_decrypts_and_one_below_the_minimum_does_not() -> TestResult {
    let world = World::start().await?;
    let sealed = world.encrypt(vec![Bytes::from_static(b"old")], "").await?;
    world.keys()?.rotate_key(pb::RotateKeyRequest { name: KEY.into() }).await?;
    let newer = world.encrypt(vec![Bytes::from_static(b"new")], "").await?;
    assert_eq!((sealed[4], newer[4]), (1, 2));
    let again = decrypt(world.streams()?, KEY, Bytes::new(), stream::iter(pieces(&sealed, 100))).await;
    again.ended?;
    assert_eq!(again.plaintext, b"old");
    let least = pb::UpdateKeyConfigRequest {
        name: KEY.into(),
        min_decryption_version: Some(2),
        ..Default::default()
    };
    world.keys()?.update_key_config(least).await?;
    let refused = decrypt(world.streams()?, KEY, Bytes::new(), stream::iter(pieces(&sealed, 100))).await;
    assert_eq!(reason(&refused.ended.unwrap_err()), "DECRYPTION_FAILED");
    Ok(())
}

#[tokio::test]
async fn a_range_needs_the_header_and_its_own_chunks() -> TestResult {
    let world = World::start().await?;
    let plain = message(5 * CHUNK + 100);
    let sealed = world.encrypt(pieces(&plain, 50_000), "").await?;
    let length = plain.len();
    for (offset, wanted) in [(0, 10), (CHUNK, 1), (CHUNK - 1, 2), (3 * CHUNK + 5, 2 * CHUNK), (length - 1, 1)]
    {
        let end = HEADER + ((offset + wanted - 1) / CHUNK + 1) * SEALED_CHUNK;
        let found = part(&world, &sealed, (offset, wanted), end.min(sealed.len())).await?;
        assert!(found == plain[offset..offset + wanted], "{wanted} bytes at {offset}");
    }
    assert!(part(&world, &sealed, (4 * CHUNK + 9, 0), sealed.len()).await? == plain[4 * CHUNK + 9..]);
    assert!(
        part(&world, &sealed, (length - 7, 1_000), sealed.len()).await? == plain[length - 7..],
        "over the end"
    );
    let cut = part(&world, &sealed, (4 * CHUNK, 0), sealed.len() - 1).await;
    assert!(cut.is_err(), "to the end, and the end is missing");
    let elsewhere = ask(&world, &sealed, (CHUNK, 10), 0..2 * SEALED_CHUNK).await;
    assert_eq!(reason(&elsewhere.unwrap_err()), "DECRYPTION_FAILED", "chunks of another place");
    Ok(())
}

/// Sends header and ciphertext from where the range begins up to `end`.
async fn part(world: &World, sealed: &[u8], range: (usize, usize), end: usize) -> Result<Vec<u8>> {
    let start = range.0 / CHUNK * SEALED_CHUNK;
    Ok(ask(world, sealed, range, start..end - HEADER).await?)
}

async fn ask(
    world: &World,
    sealed: &[u8],
    (offset, length): (usize, usize),
    chunks: std::ops::Range<usize>,
) -> Result<Vec<u8>, tonic::Status> {
    let range = pb::StreamRange { offset: offset as u64, length: length as u64 };
    let first = pb::DecryptStreamRequest {
        key: KEY.into(),
        range: Some(range),
        chunk: Bytes::copy_from_slice(&sealed[..HEADER]),
        ..Default::default()
    };
    let client = world.streams().map_err(|error| tonic::Status::internal(error.to_string()))?;
    let found = decrypt_after(client, first, stream::iter(pieces(&sealed[HEADER..][chunks], 9_999))).await;
    found.ended.map(|()| found.plaintext)
}

#[tokio::test]
async fn the_key_of_one_message_makes_the_same_bytes() -> TestResult {
    let world = World::start().await?;
    world.key("short", KeyType::Aes128GcmChunked).await?;
    for (key, algorithm) in [(KEY, Algorithm::Cobblestone256), ("short", Algorithm::Cobblestone128)] {
        let asked = pb::GenerateStreamKeyRequest {
            key: key.into(),
            associated_data: "a".into(),
            ..Default::default()
        };
        let begun = world.streams()?.generate_stream_key(asked).await?.into_inner();
        assert_eq!((begun.header.len(), begun.base_nonce.len()), (HEADER, 12));
        assert_eq!(begun.message_key.len(), algorithm.key_length());
        let plain = message(2 * CHUNK + 5);
        let sealed = by_hand(&begun, &plain)?;
        let found = decrypt(world.streams()?, key, "a".into(), stream::iter(pieces(&sealed, 4_000))).await;
        found.ended?;
        assert!(found.plaintext == plain);
        let asked = pb::OpenStreamKeyRequest {
            key: key.into(),
            header: begun.header.clone(),
            associated_data: "a".into(),
        };
        let opened = world.streams()?.open_stream_key(asked.clone()).await?.into_inner();
        assert_eq!((opened.message_key, opened.base_nonce), (begun.message_key, begun.base_nonce));
        let other = pb::OpenStreamKeyRequest { associated_data: "b".into(), ..asked };
        let refused = world.streams()?.open_stream_key(other).await.unwrap_err();
        assert_eq!(reason(&refused), "DECRYPTION_FAILED");
    }
    Ok(())
}

/// Encrypts with what a caller gets, by another implementation of AES-GCM.
fn by_hand(begun: &pb::GenerateStreamKeyResponse, plain: &[u8]) -> Result<Vec<u8>> {
    use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit, aead::Aead};
    let mut sealed = begun.header.to_vec();
    for number in 0..=plain.len() / CHUNK {
        let chunk = &plain[number * CHUNK..plain.len().min((number + 1) * CHUNK)];
        let mut nonce: [u8; 12] = begun.base_nonce[..].try_into()?;
        for (byte, count) in nonce[4..].iter_mut().zip((number as u64).to_be_bytes()) {
            *byte ^= count;
        }
        let encrypted = match begun.message_key.len() {
            16 => Aes128Gcm::new_from_slice(&begun.message_key)?.encrypt(&nonce.into(), chunk),
            _ => Aes256Gcm::new_from_slice(&begun.message_key)?.encrypt(&nonce.into(), chunk),
        };
        sealed.extend(encrypted.map_err(|error| anyhow::anyhow!("{error}"))?);
    }
    Ok(sealed)
}

/// Bytes of the message whose memory is measured: much more than may be held.
const LARGE: usize = 160 * 1024 * 1024;

/// What the service may hold more than before, in KiB.
const GROWTH: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat() -> TestResult {
    let world = World::start().await?;
    // Twice, so that what is allocated once for any stream is there before.
    through(&world, LARGE / 8).await?;
    let before = resident(&world)?;
    through(&world, LARGE).await?;
    let growth = resident(&world)?.saturating_sub(before);
    report(&format!("crypto streams: {} MiB took {growth} KiB more of memory", LARGE >> 20));
    assert!(growth <= GROWTH, "{growth} KiB");
    Ok(())
}

/// Encrypts zeros and throws the result away.
async fn through(world: &World, length: usize) -> Result<()> {
    let piece = Bytes::from(vec![0; 256 * 1024]);
    let first = pb::EncryptStreamRequest { key: KEY.into(), ..Default::default() };
    let rest = stream::iter(0..length / piece.len())
        .map(move |_| pb::EncryptStreamRequest { chunk: piece.clone(), ..Default::default() });
    let mut answers = world.streams()?.encrypt_stream(stream::iter([first]).chain(rest)).await?.into_inner();
    let mut received = 0;
    while let Some(answer) = answers.message().await? {
        received += answer.chunk.len();
    }
    ensure!(received > length, "{received} bytes came back");
    Ok(())
}

/// KiB that the service has had in memory at most.
fn resident(world: &World) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", world.crypto.process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
