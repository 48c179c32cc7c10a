//! How long an encryption takes while passwords are hashed, beside how long it takes while none are.

use crate::{
    report::{Percentiles, Report},
    server::{Client, Installation, Server},
};
use anyhow::Result;
use bytes::Bytes;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use patchbay_proto::crypto::v1 as pb;
use pb::{data_client::DataClient, keys_client::KeysClient, passwords_client::PasswordsClient};
use std::time::{Duration, Instant};

/// Password hashes that wait at every moment.
const HASHES: usize = 100;

/// Encryptions that are timed in a round, and the time from the start of one to the start of the next.
const CALLS: u32 = 1000;
const EVERY: Duration = Duration::from_millis(2);

/// Measures with and without, in turns.
pub(crate) async fn measure(
    installation: &Installation,
    server: &Server,
    rounds: usize,
    report: &mut Report,
) -> Result<()> {
    let client = installation.connect(server)?;
    let request = pb::CreateKeyRequest { name: "aes".to_owned(), ..Default::default() };
    KeysClient::new(client.clone()).create_key(request).await?;
    timed(&client).await?;
    for _ in 0..rounds {
        report.alone.push(timed(&client).await?);
        let hashing = installation.connect(server)?;
        let beside = tokio::select! {
            failed = hash_for_ever(&hashing) => return failed,
            timed = timed(&client) => timed?,
        };
        report.beside.push(beside);
    }
    Ok(())
}

/// Keeps [`HASHES`] hashes waiting; ends only when one fails.
async fn hash_for_ever(client: &Client) -> Result<()> {
    let one = async || -> Result<()> {
        loop {
            let request =
                pb::HashPasswordRequest { password: "some password".to_owned(), ..Default::default() };
            PasswordsClient::new(client.clone()).hash_password(request).await?;
        }
    };
    join_all((0..HASHES).map(|_| one())).await.into_iter().collect()
}

/// Latencies count from the time at which a call should have begun, so that a server that stalls cannot hide it.
async fn timed(client: &Client) -> Result<Percentiles> {
    let mut histogram = Histogram::<u64>::new(3)?;
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for call in 0..CALLS {
        ticks.tick().await;
        let due = begun + EVERY * call;
        let plaintext = Bytes::from_static(&[3; 1024]);
        let request = pb::EncryptRequest { key: "aes".to_owned(), plaintext, ..Default::default() };
        DataClient::new(client.clone()).encrypt(request).await?;
        histogram.record(u64::try_from(due.elapsed().as_micros())?.max(1))?;
    }
    let milliseconds = |quantile: f64| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
        let micros = histogram.value_at_quantile(quantile) as f64;
        micros / 1000.0
    };
    Ok(Percentiles { p50_ms: milliseconds(0.5), p99_ms: milliseconds(0.99) })
}
