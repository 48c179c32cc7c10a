//! People, groups, API keys, and names and passwords of devices.
//!
//! Rows are in `rows`, who may give what to whom in `grants`, how often one may guess in `attempts`. Every change of who may do what goes
//! through one guard row, so that no two of them pass each other's checks.

pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod credentials;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod manage;
mod names;
pub(crate) mod password;
pub(crate) mod rows;
pub(crate) mod secrets;
mod setup;
mod view;

pub use names::Name;
pub(crate) use names::shown as check_shown;
pub(crate) use setup::{is_needed, set_up};
pub(crate) use view::timestamp;

use crate::{
    config::CryptoConfig, core::Core, error::Error, passwords::Passwords, pool::Pool, root_key::RootKey,
    store::Store,
};
use attempts::Attempts;
use patchbay_chassis::Context;
use std::sync::Arc;

/// Accounts as a replica sees them.
pub struct Accounts {
    pub(crate) attempts: Attempts,
    pub(crate) passwords: Arc<Passwords>,
}

impl Accounts {
    /// Puts them together.
    pub fn new(
        config: &CryptoConfig,
        context: &Context,
        store: &Arc<Store>,
        root: &Arc<RootKey>,
        pool: &Pool,
    ) -> Self {
        Self {
            attempts: Attempts::new(&config.accounts, store.backplane().clone(), context.clock.clone()),
            passwords: Arc::new(Passwords::new(&config.passwords, &config.pool, root, pool)),
        }
    }
}

/// The one-time link with which the first account is made; `None` once there is one.
pub async fn setup_link(core: &Arc<Core>) -> Result<Option<String>, Error> {
    setup::link(core).await
}
