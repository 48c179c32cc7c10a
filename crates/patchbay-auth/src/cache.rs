//! Tokens that have been verified, so that a call costs no signature check.

use crate::Identity;
use aws_lc_rs::digest;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Entries at most; the oldest is dropped for a new one, which costs its caller one signature check.
const CAPACITY: usize = 10_000;

/// SHA-256 of a token: the cache holds nothing that could be presented.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

/// Identities by token, first in first out.
#[derive(Default)]
pub(crate) struct TokenCache {
    identities: HashMap<TokenHash, Arc<Identity>>,
    order: VecDeque<TokenHash>,
}

impl TokenCache {
    pub(crate) fn get(&self, hash: &TokenHash) -> Option<Arc<Identity>> {
        self.identities.get(hash).cloned()
    }

    pub(crate) fn insert(&mut self, hash: TokenHash, identity: Arc<Identity>) {
        if self.identities.insert(hash, identity).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.identities.remove(&oldest);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.identities.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, TokenCache, TokenHash};
    use crate::Identity;
    use std::sync::Arc;

    #[test]
    fn the_oldest_makes_room() {
        let mut cache = TokenCache::default();
        let identity = Arc::new(Identity::guest(&[]));
        for n in 0..=CAPACITY {
            cache.insert(TokenHash::of(&n.to_string()), identity.clone());
        }
        assert_eq!(cache.identities.len(), CAPACITY);
        assert_eq!(cache.order.len(), CAPACITY);
        assert!(cache.get(&TokenHash::of("0")).is_none());
        assert!(cache.get(&TokenHash::of(&CAPACITY.to_string())).is_some());
    }
}
