//! Names of things on the backplane.

use std::{borrow::Cow, fmt, sync::Arc};

/// What a stream, channel, key or group is called: the service that owns it, what it is, and its id.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    // Owned only in names that came back from Redis.
    service: Cow<'static, str>,
    kind: Cow<'static, str>,
    id: Arc<str>,
}

impl Name {
    /// Names a thing; `service` and `kind` are fixed words such as `chat` and `room`, without colons and dots;
    /// `id` is free text.
    pub fn new(service: &'static str, kind: &'static str, id: impl Into<Arc<str>>) -> Self {
        debug_assert!(
            !service.contains([':', '.']) && !kind.contains([':', '.']),
            "{service}:{kind} is no name"
        );
        Self { service: service.into(), kind: kind.into(), id: id.into() }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (service, rest) = text.split_once(':')?;
        let (kind, id) = rest.split_once(':')?;
        Some(Self { service: service.to_owned().into(), kind: kind.to_owned().into(), id: id.into() })
    }

    /// The service that owns it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What it is.
    pub fn kind(&self) -> &str {
        &self.kind
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
