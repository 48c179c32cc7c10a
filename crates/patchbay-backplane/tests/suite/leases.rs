//! Exclusive claims.

use super::{SOON, Subject, name};
use anyhow::{Context, Result, ensure};
use patchbay_testkit::wait::wait_for;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(250);

pub(crate) async fn a_lease_has_one_holder(subject: &Subject) -> Result<()> {
    let lease = name("owner");
    let token = subject.one.acquire(&lease, "a", SOON).await?.context("a gets it")?;
    ensure!(subject.two.acquire(&lease, "b", SOON).await?.is_none());
    ensure!(subject.one.acquire(&lease, "a", SOON).await? == Some(token), "the holder keeps its token");
    ensure!(subject.one.renew(&lease, "a", token, SOON).await?);
    ensure!(!subject.two.renew(&lease, "b", token, SOON).await?);
    ensure!(!subject.two.release(&lease, "b", token).await?);
    Ok(())
}

pub(crate) async fn tokens_rise_when_a_lease_expires(subject: &Subject) -> Result<()> {
    let lease = name("expiring");
    let first = subject.one.acquire(&lease, "a", SHORT).await?.context("a gets it")?;
    let attempt = async || subject.two.acquire(&lease, "b", SOON).await.ok().flatten();
    let (second, _) = wait_for("the lease expires", SOON, attempt).await?;
    ensure!(second > first);
    ensure!(!subject.one.renew(&lease, "a", first, SOON).await?, "the old holder is fenced off");
    ensure!(!subject.one.release(&lease, "a", first).await?);
    ensure!(subject.two.renew(&lease, "b", second, SOON).await?);
    Ok(())
}

pub(crate) async fn a_released_lease_is_free(subject: &Subject) -> Result<()> {
    let lease = name("released");
    let first = subject.one.acquire(&lease, "a", SOON).await?.context("a gets it")?;
    ensure!(subject.one.release(&lease, "a", first).await?);
    ensure!(!subject.one.release(&lease, "a", first).await?);
    let second = subject.one.acquire(&lease, "a", SOON).await?.context("a gets it again")?;
    ensure!(second > first);
    ensure!(!subject.one.renew(&lease, "a", first, SOON).await?);
    Ok(())
}
