//! Health and figures of the two connections together.

use crate::Health;
use parking_lot::Mutex;
use std::sync::atomic::AtomicU64;
use tokio::sync::watch;

/// Shared by the connections' tasks.
pub(super) struct Vitals {
    pub(super) commands: AtomicU64,
    pub(super) round_trips: AtomicU64,
    pub(super) reconnects: AtomicU64,
    down: Mutex<[Option<String>; 2]>,
    health: watch::Sender<Health>,
}

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    Commands = 0,
    PubSub = 1,
}

impl Vitals {
    pub(super) fn new() -> Self {
        let waiting = || Some("not connected yet".to_owned());
        Self {
            commands: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            down: Mutex::new([waiting(), waiting()]),
            health: watch::Sender::new(Health::Down("not connected yet".into())),
        }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Notes that a connection answers, or why not; all are up only together.
    pub(super) fn tell(&self, line: Line, down: Option<String>) {
        let mut lines = self.down.lock();
        lines[line as usize] = down;
        let now = lines.iter().flatten().next().map_or(Health::Up, |reason| Health::Down(reason.clone()));
        self.health.send_if_modified(|before| {
            let changed = matches!(before, Health::Up) != matches!(now, Health::Up);
            if changed {
                match &now {
                    Health::Up => tracing::info!("the Redis backplane is up"),
                    Health::Down(reason) => tracing::warn!(?line, reason, "the Redis backplane is down"),
                }
            }
            let differs = *before != now;
            *before = now;
            differs
        });
    }
}
