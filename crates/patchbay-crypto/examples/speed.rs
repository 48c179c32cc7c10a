//! What an operation costs in CPU time beside the library underneath: `cargo run --release -p patchbay-crypto --example speed`.
#![expect(clippy::print_stdout, reason = "it is what the example is for")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use patchbay_crypto::{
    aead::{Algorithm, Key},
    password::{self, Parameters},
};
use std::{error::Error, fs, hint::black_box};

type Outcome = Result<(), Box<dyn Error>>;

/// The best of five rounds, in nanoseconds of this thread's CPU time.
fn measure(name: &str, count: u64, mut operation: impl FnMut() -> Outcome) -> Outcome {
    let mut best = u64::MAX;
    for _ in 0..5 {
        let begun = cpu_nanos()?;
        for _ in 0..count {
            operation()?;
        }
        best = best.min((cpu_nanos()? - begun) / count);
    }
    println!("{name:<44}{best:>12} ns");
    Ok(())
}

fn cpu_nanos() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no schedstat")?.parse()?)
}

fn main() -> Outcome {
    let message = vec![7; 1024];
    let mut out = Vec::with_capacity(4096);
    let raw = UnboundKey::new(&AES_256_GCM, &[1; 32]).map_err(|_| "no key")?;
    let raw = LessSafeKey::new(raw);
    let mut counter = 0_u64;
    measure("AES-256-GCM 1 KiB, aws-lc-rs, counted nonce", 200_000, || {
        counter += 1;
        let mut nonce = [0; 12];
        nonce.iter_mut().zip(counter.to_le_bytes()).for_each(|(byte, next)| *byte = next);
        seal_raw(&raw, nonce, &message, &mut out)
    })?;
    measure("AES-256-GCM 1 KiB, aws-lc-rs, random nonce", 200_000, || {
        let mut nonce = [0; 12];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "no randomness")?;
        seal_raw(&raw, nonce, &message, &mut out)
    })?;
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm, &vec![1; algorithm.key_length()])?;
        measure(&format!("{algorithm:?} 1 KiB, seal"), 100_000, || {
            out.clear();
            key.seal_into(b"", &message, &mut out)?;
            black_box(&out);
            Ok(())
        })?;
        measure(&format!("{algorithm:?} 1 KiB, open"), 100_000, || {
            black_box(key.open(b"", &out)?);
            Ok(())
        })?;
    }
    let parameters = Parameters {
        argon2_memory_kib: 19_456,
        argon2_passes: 2,
        argon2_lanes: 1,
        bcrypt_cost: 12,
        scrypt_log_n: 17,
        pbkdf2_iterations: 600_000,
    };
    for algorithm in password::Algorithm::ALL {
        measure(&format!("{algorithm:?}, defaults"), 3, || {
            black_box(password::hash(algorithm, &parameters, b"correct horse", None)?);
            Ok(())
        })?;
    }
    Ok(())
}

fn seal_raw(key: &LessSafeKey, nonce: [u8; 12], message: &[u8], out: &mut Vec<u8>) -> Outcome {
    out.clear();
    out.extend_from_slice(&nonce);
    out.extend_from_slice(message);
    let body = out.get_mut(12..).unwrap_or_default();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), body).map_err(|_| "not sealed")?;
    out.extend_from_slice(tag.as_ref());
    black_box(out);
    Ok(())
}
