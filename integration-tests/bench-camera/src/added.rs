use anyhow::Result;
use crate::report::Report;
use std::time::Duration;
pub(crate) async fn forward() -> Result<()> { std::future::ready(Ok(())).await }
pub(crate) async fn round(_: Duration, _: &mut Report) -> Result<()> { std::future::ready(Ok(())).await }
