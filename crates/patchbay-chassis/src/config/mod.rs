//! Configuration: typed sections with defaults, read from a file and the environment, all problems told at once.
//!
//! Precedence: defaults < presets of the program (`--dev`) < file < `PATCHBAY_SECTION__KEY` < flags. [`load`] reads and
//! checks, [`show`] tells each value with its source, [`docs`] writes the reference. Where a service's sections stand
//! (at the top, or under the service's name in the all-in-one) is decided by [`crate::Suite`].

pub(crate) mod docs;
mod layer;
pub(crate) mod load;
mod network;
pub(crate) mod sections;
pub(crate) mod show;
mod units;

pub use docs::Reference;
pub use layer::Layer;
pub use load::{ConfigError, Problem, Problems};
pub use network::{Network, NetworkError};
pub use sections::{Data, Drain, Grpc, Log, LogFormat, Ops, Shared, Telemetry};
pub use show::Shown;
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
