//! No share is seen where nobody asked for it: not in the log at its most talkative, not in the store, not in what operators are told.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, is, settings},
};
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use integration_tests::{crypto::Installation, report::report, verdict::TestResult};
use patchbay_proto::crypto::v1::{BeginRekeyRequest, CloseSealRequest, ConfirmRekeyRequest};
use patchbay_testkit::http;
use std::{fs, time::Duration};

/// Forms of a share's secret part in which it could be seen.
fn forms(share: &str) -> Result<Vec<Vec<u8>>> {
    let bytes = hex::decode(share.strip_prefix("pbs1-").context("a share has its prefix")?)?;
    // Between the header and the checksum.
    let data = bytes.get(7..bytes.len() - 4).context("a share has a secret part")?;
    let numbers = data.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(vec![
        data.to_vec(),
        hex::encode(data).into_bytes(),
        numbers.into_bytes(),
        STANDARD_NO_PAD.encode(data).into_bytes(),
    ])
}

fn holds(place: &[u8], form: &[u8]) -> bool {
    place.windows(form.len()).any(|window| window == form)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_nowhere_but_with_people() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let settings = settings().set("backplane.file", &file.display()).set("log.level", "trace");
    let installation = Installation::shared(folder.path(), settings)?;
    let mut replica = installation.start("crypto").await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    let mut shares = clients.initialize().await?;
    assert!(is(&clients.bring(&shares[0][..40]).await, "SHARE_INVALID"));
    for share in &shares[..3] {
        clients.bring(share).await?;
    }
    let request = BeginRekeyRequest { shares: 3, threshold: 2 };
    let new = clients.seal.clone().begin_rekey(request).await?.into_inner().shares;
    for share in &new[..2] {
        let request = ConfirmRekeyRequest { share: share.clone() };
        clients.seal.clone().confirm_rekey(request).await?;
    }
    clients.seal.clone().close_seal(CloseSealRequest {}).await?;
    assert!(is(&clients.bring(&shares[0]).await, "SHARE_INVALID"));
    clients.bring(&new[1]).await?;
    clients.bring(&new[2]).await?;
    shares.extend(new);
    let mut places = vec![];
    for (path, known) in [("/metrics", "sealed 0"), ("/config", "root_key.shares")] {
        places.push((path, http::get(replica.ops, path, &[]).await?.body.into_bytes(), known));
    }
    replica.process.terminate()?;
    replica.process.wait_exit(Duration::from_secs(20)).await?;
    let log = replica.process.log();
    assert!(log.contains(r#""level":"TRACE""#), "everything is logged");
    places.push(("the log", log.into_bytes(), "this replica is open"));
    places.push(("the store", fs::read(file)?, "seal.rekey"));
    let mut bytes = 0;
    for (name, place, known) in &places {
        ensure_seen(name, place, known)?;
        bytes += place.len();
        for share in &shares {
            for form in forms(share)? {
                assert!(!holds(place, &form), "a share is in {name}");
            }
        }
    }
    report(&format!("{} shares are nowhere in {bytes} bytes", shares.len()));
    Ok(())
}

fn ensure_seen(name: &str, place: &[u8], known: &str) -> Result<()> {
    ensure!(holds(place, known.as_bytes()), "`{known}` is not found in {name}: the search is blind");
    Ok(())
}
