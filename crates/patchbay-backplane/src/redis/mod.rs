//! The backplane of many replicas, on one Redis (7.0 or later). Each call is one command or one Lua script, so that
//! what must be atomic is; all calls of a process share one pipelined connection ([`link`]), all its subscriptions
//! another ([`pubsub`]). It keeps no state of its own that Redis does not have, but for what is subscribed.
//!
//! Keys carry their shard as a hash tag, and a server in cluster mode gets sharded publish/subscribe; following
//! `MOVED` to other nodes of a cluster is not built in, so a cluster of several nodes needs a proxy before it.

mod backoff;
mod command;
mod keys;
mod leases;
mod link;
mod nodes;
mod presence;
mod pubsub;
mod records;
mod session;
mod streams;
mod values;
mod vitals;

use crate::{Backplane, BackplaneConfig, BackplaneError, Figures, Health};
use link::{Limits, Link};
use pubsub::Bus;
use session::Endpoint;
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vitals::Vitals;

/// The Redis backplane. Cheap to clone.
#[derive(Clone)]
pub struct RedisBackplane {
    link: Link,
    bus: Bus,
    vitals: Arc<Vitals>,
}

impl RedisBackplane {
    /// Starts connecting and returns at once: while Redis is away the backplane is down, calls fail at their
    /// deadline, and it heals by itself. Must be called in a tokio runtime.
    pub fn start(
        url: &str,
        config: &BackplaneConfig,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, BackplaneError> {
        let endpoint = Endpoint::new(url, config)?;
        let limits = Limits {
            queue: config.queue,
            batch: config.batch.max(1),
            call_timeout: config.call_timeout,
            ping_interval: config.ping_interval,
        };
        let vitals = Arc::new(Vitals::new());
        let link = Link::start(endpoint.clone(), limits, vitals.clone(), tasks, shutdown.clone());
        let bus = Bus::start(endpoint, limits, vitals.clone(), tasks, shutdown.clone());
        Ok(Self { link, bus, vitals })
    }
}

impl Backplane for RedisBackplane {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.vitals.health()
    }

    fn figures(&self) -> Figures {
        Figures::from([
            ("redis_commands_total", self.vitals.commands.load(Ordering::Relaxed)),
            ("redis_round_trips_total", self.vitals.round_trips.load(Ordering::Relaxed)),
            ("redis_reconnects_total", self.vitals.reconnects.load(Ordering::Relaxed)),
            ("gaps_total", self.bus.hub.gaps()),
        ])
    }
}
