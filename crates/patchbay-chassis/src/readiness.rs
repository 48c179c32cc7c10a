//! Whether a replica should get clients, as the sum of what its components say.
//!
//! Services make components; `/readyz`, gRPC health and the node registry read them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How one component is, worst last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It works.
    Ready,
    /// It works, with something away; clients may still come.
    Degraded(String),
    /// Clients must not come.
    NotReady(String),
}

impl Condition {
    /// `ready`, `degraded` or `not_ready`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded(_) => "degraded",
            Self::NotReady(_) => "not_ready",
        }
    }

    /// Why; empty when it works.
    pub fn reason(&self) -> &str {
        match self {
            Self::Ready => "",
            Self::Degraded(reason) | Self::NotReady(reason) => reason,
        }
    }
}

type Conditions = BTreeMap<(&'static str, &'static str), Condition>;

/// The components of one service. Cheap to clone.
#[derive(Clone)]
pub struct Readiness {
    program: &'static str,
    service: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    conditions: Mutex<Conditions>,
    changed: watch::Sender<()>,
}

impl Readiness {
    pub(crate) fn new(program: &'static str) -> Self {
        let shared = Shared { conditions: Mutex::default(), changed: watch::Sender::new(()) };
        Self { program, service: program, shared: Arc::new(shared) }
    }

    /// The same process seen by another service.
    pub(crate) fn of(&self, service: &'static str) -> Self {
        Self { program: self.program, service, shared: Arc::clone(&self.shared) }
    }

    /// Adds a component, not ready until it says so. Asking twice for a name gives the same component.
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component { key: (self.service, name), shared: Arc::clone(&self.shared) };
        let starting = Condition::NotReady("starting".to_owned());
        self.shared.lock().entry(component.key).or_insert(starting);
        component
    }

    /// The worst condition among this service's components and the program's own, with the reasons.
    pub fn condition(&self) -> Condition {
        let conditions = self.shared.lock();
        summary(
            conditions
                .iter()
                .filter(|((service, _), _)| *service == self.service || *service == self.program),
        )
    }

    /// The worst condition of the whole process.
    pub(crate) fn process_condition(&self) -> Condition {
        summary(self.shared.lock().iter())
    }

    /// All components of the process.
    pub(crate) fn conditions(&self) -> Conditions {
        self.shared.lock().clone()
    }

    /// Wakes at every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary<'a>(
    conditions: impl Iterator<Item = (&'a (&'static str, &'static str), &'a Condition)>,
) -> Condition {
    let (mut degraded, mut not_ready) = (Vec::new(), Vec::new());
    for ((_, component), condition) in conditions {
        match condition {
            Condition::Ready => {}
            Condition::Degraded(reason) => degraded.push(format!("{component}: {reason}")),
            Condition::NotReady(reason) => not_ready.push(format!("{component}: {reason}")),
        }
    }
    match (not_ready.is_empty(), degraded.is_empty()) {
        (false, _) => Condition::NotReady(not_ready.join("; ")),
        (true, false) => Condition::Degraded(degraded.join("; ")),
        (true, true) => Condition::Ready,
    }
}

/// Something that a service needs to serve. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    key: (&'static str, &'static str),
    shared: Arc<Shared>,
}

impl Component {
    /// Says that it works.
    pub fn ready(&self) {
        self.set(&Condition::Ready);
    }

    /// Says that clients must not come, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(&Condition::NotReady(reason.into()));
    }

    /// Says that something is away but clients may come.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(&Condition::Degraded(reason.into()));
    }

    fn set(&self, condition: &Condition) {
        let before = self.shared.lock().insert(self.key, condition.clone());
        if before.as_ref() != Some(condition) {
            let (service, component) = self.key;
            tracing::info!(
                service,
                component,
                state = condition.word(),
                reason = condition.reason(),
                "readiness"
            );
            self.shared.changed.send_replace(());
        }
    }
}
