//! People, groups, API keys, and names and passwords of devices.

use crate::{config::CryptoConfig, core::Core, error::Error, pool::Pool, root_key::RootKey, store::Store};
use patchbay_chassis::Context;
use std::sync::Arc;

/// Accounts as a replica sees them.
pub struct Accounts {}

impl Accounts {
    /// Puts them together.
    pub fn new(
        _config: &CryptoConfig,
        _context: &Context,
        _store: &Arc<Store>,
        _root: &Arc<RootKey>,
        _pool: &Pool,
    ) -> Self {
        Self {}
    }
}

/// The one-time link with which the first account is made; `None` once there is one.
pub async fn setup_link(_core: &Arc<Core>) -> Result<Option<String>, Error> {
    std::future::ready(Ok(None)).await
}
