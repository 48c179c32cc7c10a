//! One capture for all replicas: which of them captures a camera, and how the others get its stream.
//!
//! The first replica that needs a camera takes a lease on it and captures it; its record on the backplane says where it is reached. Every other replica
//! that needs the camera subscribes there and publishes what comes in its own hub, so that its viewers see no difference. When the owner is gone, whoever
//! needs the camera takes the lease as soon as it has expired and captures it; viewers stay where they are and get the next generation of tracks.
//!
//! The lease's fencing token is the epoch of the owner. An owner that finds its lease with somebody else stops capturing at once and becomes a subscriber.
//! While the backplane is away nobody can tell: owners go on, subscribers keep their streams, and a replica that knows no owner that answers captures by
//! itself until the backplane is back.
//!
//! `routed` is the source that a hub runs for a camera, `owners` decides and holds, `record` is what stands on the backplane, `arriving` subscribes,
//! `giving` serves, `wire` converts.

mod address;
mod arriving;
mod giving;
mod metrics;
mod owners;
mod record;
mod routed;
mod wire;

pub use giving::METHOD;
pub(crate) use giving::{REQUIREMENT, Relays};
pub(crate) use metrics::RelayFigures;
pub use owners::Owners;
pub(crate) use routed::route;

use patchbay_media::codec::nal::MAX_UNIT_BYTES;
use std::time::Duration;

/// How long a lease holds, as a node's entry in the registry.
const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(3);

/// How long the backplane is waited for; what it does later is seen at the next renewal.
const CALL: Duration = Duration::from_secs(2);
const CALL_WHEN_AWAY: Duration = Duration::from_millis(200);

/// Time for an owner to answer; no more, because its lease is not looked at meanwhile.
const ANSWER: Duration = Duration::from_secs(1);

/// Time without any message after which an owner is gone.
const SILENCE: Duration = Duration::from_secs(3);

/// Time without anything to send after which a sign of life is sent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// A unit of the greatest size and what stands around it.
const MAX_MESSAGE: usize = MAX_UNIT_BYTES + 64 * 1024;
