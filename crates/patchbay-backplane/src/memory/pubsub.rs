//! Publish/subscribe within the process.

use super::{MemoryBackplane, ready};
use crate::{
    Answer, Message, Name, PubSub, Subscriber, SubscriptionControl,
    hub::{Hub, Outlet},
};
use bytes::Bytes;
use std::sync::Arc;

impl PubSub for MemoryBackplane {
    fn publish(&self, channel: &Name, payload: Bytes) -> Answer<()> {
        self.0.hub.deliver(&Message { channel: channel.clone(), payload, position: None });
        ready(())
    }

    fn subscriber(&self, capacity: usize) -> Subscriber {
        let hub = self.0.hub.clone();
        let (outlet, events) = hub.outlet(capacity);
        Subscriber { events, control: Arc::new(Subscription { hub, outlet }) }
    }
}

struct Subscription {
    hub: Arc<Hub>,
    outlet: Arc<Outlet>,
}

impl SubscriptionControl for Subscription {
    fn subscribe(&self, channel: &Name) -> Answer<()> {
        self.hub.subscribe(channel, &self.outlet);
        ready(())
    }

    fn unsubscribe(&self, channel: &Name) -> Answer<()> {
        self.hub.unsubscribe(channel, &self.outlet);
        ready(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.remove(&self.outlet);
    }
}
