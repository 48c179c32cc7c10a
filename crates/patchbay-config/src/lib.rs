//! Configuration: typed sections with defaults, read from files and variables, all problems told at once.
//!
//! [`Loader`] merges [`Layer`]s, the strongest last, and reads typed sections from them; every problem names the file
//! or variable and the key. [`show`] tells each value with its source, [`reference`] writes what operators read. It
//! does not know which sections there are, nor where they stand: the chassis and its services say so.

mod docs;
mod layer;
mod load;
mod network;
mod show;
mod units;

pub use docs::{Reference, SectionDocs, reference};
pub use layer::{Dict, Layer, Value};
pub use load::{ConfigError, Loader, Problem, Problems, table_of};
pub use network::{Network, NetworkError};
pub use show::{Shown, show};
pub use units::{ByteSize, Span, UnitError};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A service's own sections. The derived form is `#[serde(default, deny_unknown_fields)]` with doc comments on every
/// field: they become the reference. Fields must survive a round trip through serde.
pub trait ServiceConfig:
    Serialize + DeserializeOwned + Default + JsonSchema + Clone + Send + 'static
{
    /// Reports every value that cannot be used: `problems.add("limits.frame", "must be at least 1KiB")`.
    fn validate(&self, problems: &mut Problems);
}
