//! Names of things on the backplane.

use std::{fmt, sync::Arc};

/// What a stream, channel, key or group is called: the service that owns it, what it is, and its id.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    service: &'static str,
    kind: &'static str,
    id: Arc<str>,
}

impl Name {
    /// Names a thing; `service` and `kind` are fixed words such as `chat` and `room`, `id` is free text.
    pub fn new(service: &'static str, kind: &'static str, id: impl Into<Arc<str>>) -> Self {
        Self { service, kind, id: id.into() }
    }

    /// The service that owns it.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// What it is.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.service, self.kind, self.id)
    }
}
