//! All keys that are believed at a time: the anchors, and the key set that one of them has signed.

use crate::{
    KeySetChange, TokenError,
    jwks::{KeySet, Trust},
    key_set_token::Published,
};

/// Keys by id, and where they came from.
pub(crate) struct KeyRing {
    /// Keys of the file and the process's own.
    anchors: KeySet,
    published: Option<Published>,
    /// Both: what tokens are looked up in.
    all: KeySet,
}

impl KeyRing {
    pub(crate) fn new(anchors: KeySet) -> Self {
        Self { all: anchors.clone(), anchors, published: None }
    }

    pub(crate) fn all(&self) -> &KeySet {
        &self.all
    }

    pub(crate) fn anchors(&self) -> &KeySet {
        &self.anchors
    }

    /// Takes other anchors. Keys that were published by one that is gone go with it.
    pub(crate) fn replace_anchors(&mut self, anchors: KeySet) {
        let stays = |published: &Published| {
            anchors.get(&published.anchor).is_some_and(|anchor| anchor.trust == Trust::Anchor)
        };
        self.published = self.published.take().filter(stays);
        self.anchors = anchors;
        self.combine();
    }

    /// Takes another key set in the place of the one before.
    pub(crate) fn publish(&mut self, published: Published) -> Result<KeySetChange, TokenError> {
        if let Some(current) = &self.published {
            if published.sequence < current.sequence {
                return Err(TokenError::OldKeySet);
            }
            if published.sequence == current.sequence {
                return Ok(KeySetChange::Unchanged);
            }
        }
        let keys = published.keys.len();
        self.published = Some(published);
        self.combine();
        Ok(KeySetChange::Replaced { keys })
    }

    /// An anchor stands over a published key of the same id.
    fn combine(&mut self) {
        self.all = self.published.as_ref().map(|published| published.keys.clone()).unwrap_or_default();
        self.all.extend(self.anchors.clone());
    }
}
