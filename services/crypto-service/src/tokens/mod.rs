//! Tokens, sessions and the keys that sign.

use crate::{config::CryptoConfig, error::Error, root_key::RootKey, store::Store};
use patchbay_chassis::Context;
use std::sync::Arc;

/// The issuer of tokens.
pub struct Tokens {}

impl Tokens {
    /// Reads the keys that sign, making the first one where there is none.
    pub async fn open(
        _config: &CryptoConfig,
        _context: &Context,
        _store: &Arc<Store>,
        _root: &Arc<RootKey>,
    ) -> Result<Self, Error> {
        std::future::ready(Ok(Self {})).await
    }

    /// Spawns what rotates keys and ends sessions.
    pub fn spawn_tasks(&self, _context: &Context) {}
}
