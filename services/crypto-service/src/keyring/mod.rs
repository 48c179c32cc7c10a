//! Named keys and their versions.

use crate::{config, root_key::RootKey, store::Store};
use patchbay_chassis::Context;
use std::sync::Arc;

/// The keyring of a replica.
pub struct Keyring {}

impl Keyring {
    /// Makes an empty one; keys are read when they are used.
    pub fn new(_config: &config::Keys, _context: &Context, _store: &Arc<Store>, _root: &Arc<RootKey>) -> Self {
        Self {}
    }

    /// Spawns what follows changes, polls and rotates.
    pub fn spawn_tasks(&self, _context: &Context) {}
}
