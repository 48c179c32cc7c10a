//! How often somebody may be wrong: counted over all replicas and forgotten after a minute, so that wrong shares keep nobody out for long.

use super::Seal;
use crate::error::Error;
use patchbay_backplane::Name;
use std::time::Duration;

/// Window in which wrong shares are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// Wrong shares in a minute from one address, and from all together.
const PER_ADDRESS: u64 = 10;
const IN_ALL: u64 = 100;

impl Seal {
    /// Refuses an attempt after too many wrong ones.
    pub(super) async fn check_guesses(&self, client: &str) -> Result<(), Error> {
        let backplane = &self.context.backplane;
        let (own, all) = (of(client), of("all"));
        let is_over = backplane.add(&own, 0, WINDOW).await? >= PER_ADDRESS
            || backplane.add(&all, 0, WINDOW).await? >= IN_ALL;
        if is_over { Err(Error::TooManyAttempts { after: WINDOW }) } else { Ok(()) }
    }

    /// Counts a wrong one.
    pub(super) async fn count_guess(&self, client: &str) -> Result<(), Error> {
        self.context.backplane.add(&of(client), 1, WINDOW).await?;
        self.context.backplane.add(&of("all"), 1, WINDOW).await?;
        Ok(())
    }
}

fn of(whose: &str) -> Name {
    Name::new("crypto", "shares", whose)
}
