//! How many pages stand at this door, in all and from one address. One that has made no offer is no viewer, and still holds a connection and the memory
//! of a message that arrives; the bounds are those of viewers.

use crate::{addresses::household, config::Media, viewers::NoRoom};
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Those that are there.
#[derive(Clone)]
pub(in crate::http) struct Places(Arc<Shared>);

struct Shared {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place; given back when dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    household: IpAddr,
}

impl Places {
    pub(in crate::http) fn new(media: &Media) -> Self {
        let (max, max_per_address) = (media.max_viewers, media.max_viewers_per_address);
        Self(Arc::new(Shared { max, max_per_address, open: Mutex::default() }))
    }

    pub(super) fn take(&self, address: IpAddr) -> Result<Place, NoRoom> {
        let household = household(address);
        let mut open = self.0.open.lock();
        if open.all >= self.0.max {
            return Err(NoRoom::Replica(open.all));
        }
        let from_there = open.by_address.get(&household).copied().unwrap_or_default();
        if from_there >= self.0.max_per_address {
            return Err(NoRoom::Address(from_there));
        }
        open.all += 1;
        open.by_address.insert(household, from_there + 1);
        Ok(Place { shared: Arc::clone(&self.0), household })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.shared.open.lock();
        open.all -= 1;
        let left = open.by_address.get(&self.household).map_or(0, |count| count - 1);
        if left == 0 {
            open.by_address.remove(&self.household);
        } else {
            open.by_address.insert(self.household, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Places::new(&Media { max_viewers: 3, max_viewers_per_address: 2, ..Media::default() });
        let take = |address: &str| places.take(address.parse().unwrap());
        let one = take("192.0.2.1").unwrap();
        let two = take("::ffff:192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").err(), Some(NoRoom::Address(2)));
        let _three = take("192.0.2.2").unwrap();
        assert_eq!(take("192.0.2.3").err(), Some(NoRoom::Replica(3)));
        drop(one);
        let _four = take("192.0.2.1").unwrap();
        drop(two);
        let open = places.0.open.lock();
        assert_eq!((open.all, open.by_address.len()), (2, 2));
    }
}
