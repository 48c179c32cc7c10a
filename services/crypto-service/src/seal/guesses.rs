//! How often somebody may be wrong: counted over all replicas and forgotten after a minute. It slows down who tries; right shares are taken all the same.

use super::Seal;
use crate::error::Error;
use patchbay_backplane::Name;
use std::time::Duration;

/// Window in which wrong shares are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Wrong shares in a minute from one address.
const PER_ADDRESS: u64 = 10;

/// How often in a minute everybody together may have all forget what was brought: seldom enough for people to bring their shares in between.
const RESETS: u64 = 2;

impl Seal {
    /// Refuses an attempt after too many wrong ones.
    pub(super) async fn check_guesses(&self, client: &str) -> Result<(), Error> {
        self.check_count(&of(client), 0, PER_ADDRESS - 1).await
    }

    /// Counts a wrong one.
    pub(super) async fn count_guess(&self, client: &str) -> Result<(), Error> {
        self.context.backplane.add(&of(client), 1, WINDOW).await?;
        Ok(())
    }

    /// Counts that everything brought is forgotten, or refuses it.
    pub(super) async fn count_reset(&self) -> Result<(), Error> {
        self.check_count(&Name::new("crypto", "shares", "resets"), 1, RESETS).await
    }

    async fn check_count(&self, counter: &Name, amount: u64, most: u64) -> Result<(), Error> {
        let is_over = self.context.backplane.add(counter, amount, WINDOW).await? > most;
        if is_over { Err(Error::TooManyAttempts { after: WINDOW }) } else { Ok(()) }
    }
}

fn of(client: &str) -> Name {
    Name::new("crypto", "shares", client)
}
