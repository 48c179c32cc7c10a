//! The same work without a server: aws-lc-rs in this process, the `openssl` program, and Python's libraries.

use crate::{
    Options,
    calls::RSA_BITS,
    report::{Report, Subject},
};
use anyhow::{Context as _, Result, bail};
use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey,
    },
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use std::process::Command;

/// One round of all peers.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<()> {
    for bits in RSA_BITS {
        in_process(report, bits, options.percent)?;
        openssl(report, bits)?;
    }
    python(options, report)
}

/// The library itself, in one thread.
fn in_process(report: &mut Report, bits: u32, percent: u32) -> Result<()> {
    let size = if bits == 2048 { KeySize::Rsa2048 } else { KeySize::Rsa3072 };
    let key = PrivateDecryptingKey::generate(size)?;
    let pair = RsaKeyPair::from_pkcs8(AsDer::as_der(&key)?.as_ref())?;
    let encrypting = OaepPublicEncryptingKey::new(key.public_key())?;
    let decrypting = OaepPrivateDecryptingKey::new(key)?;
    let mut ciphertext = vec![0; encrypting.ciphertext_size()];
    encrypting.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut ciphertext, None)?;
    let times = (1_000_000 / bits * percent / 100).max(4);
    let mut plaintext = vec![0; decrypting.min_output_size()];
    let used = cpu_of(times, || {
        decrypting.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plaintext, None).map(drop)
    })?;
    report.add(Subject::InProcessDecrypt(bits), used);
    let random = SystemRandom::new();
    let mut signature = vec![0; pair.public_modulus_len()];
    let used = cpu_of(times, || pair.sign(&RSA_PSS_SHA256, &random, &[9; 32], &mut signature))?;
    report.add(Subject::InProcessSign(bits), used);
    Ok(())
}

fn cpu_of<E: Into<anyhow::Error>>(times: u32, mut work: impl FnMut() -> Result<(), E>) -> Result<f64> {
    for _ in 0..times / 10 {
        work().map_err(Into::into)?;
    }
    let before = thread_seconds();
    for _ in 0..times {
        work().map_err(Into::into)?;
    }
    Ok((thread_seconds() - before) / f64::from(times))
}

fn thread_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds of one run")]
    let seconds = now.tv_sec as f64 + now.tv_nsec as f64 / 1e9;
    seconds
}

/// `openssl speed`, which counts CPU time itself: PKCS#1 signatures, that is one private operation each.
fn openssl(report: &mut Report, bits: u32) -> Result<()> {
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "1", "-mr", &format!("rsa{bits}")])
        .output()
        .context("cannot run openssl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `+F2:<index>:<bits>:<signatures a second>:<verifications a second>`, in seconds of user time
    let line =
        text.lines().find(|line| line.starts_with("+F2")).context("openssl speed printed no result")?;
    let a_second: f64 = line.split(':').nth(3).context("openssl speed printed no number")?.parse()?;
    report.add(Subject::OpensslSign(bits), 1.0 / a_second);
    Ok(())
}

/// What the Python peer prints.
#[derive(Deserialize)]
struct Python {
    decrypt: Vec<(u32, f64)>,
    sign: Vec<(u32, f64)>,
    argon2: f64,
}

fn python(options: &Options, report: &mut Report) -> Result<()> {
    let output = Command::new(&options.python).arg(options.peers.join("peer.py")).output();
    let output = output.with_context(|| format!("cannot run {}", options.python.display()))?;
    if !output.status.success() {
        bail!("the Python peer failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let measured: Python =
        serde_json::from_slice(&output.stdout).context("the Python peer printed no result")?;
    for (bits, seconds) in measured.decrypt {
        report.add(Subject::PythonDecrypt(bits), seconds);
    }
    for (bits, seconds) in measured.sign {
        report.add(Subject::PythonSign(bits), seconds);
    }
    report.add(Subject::PythonArgon2, measured.argon2);
    Ok(())
}
