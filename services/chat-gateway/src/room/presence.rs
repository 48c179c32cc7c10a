//! Who is in which room, as all replicas know it, and the announcements of comings and goings.

use super::{
    signal::{MemberShown, Presence, Signal},
    state::{Room, Subscriber},
};
use crate::{gateway::Gateway, protocol::publication::Profile};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesOrdered,
};
use patchbay_backplane::{Answer, Member, Name, NodeId, PresenceStats, SharedBackplane};
use patchbay_chassis::Tasks;
use std::time::Duration;

/// Announcements that may wait for their counts; beyond, comings and goings are recorded but not announced.
const WAITING: usize = 16 * 1024;
/// Members renewed in one call.
const RENEWED_AT_ONCE: usize = 256;

/// Records presence, and announces it in the order in which it was recorded.
pub(super) struct Announcements {
    backplane: SharedBackplane,
    tasks: Tasks,
    node: NodeId,
    ttl: Duration,
    /// The room whose members are counted at every change, because the classic protocol says how many there are.
    counted_room: Option<String>,
    waiting: FuturesOrdered<BoxFuture<'static, (Name, Signal)>>,
}

/// Makes a member of a profile; the name and the picture are what others are shown.
pub(crate) fn member(profile: &Profile) -> Member {
    let info = serde_json::json!([profile.name, profile.avatar]);
    Member { id: profile.client.clone(), user: profile.user.clone(), info: info.to_string().into() }
}

/// Reads a member back.
pub(crate) fn shown(member: &Member) -> MemberShown {
    let (name, avatar) = serde_json::from_slice(&member.info).unwrap_or_default();
    let (name, avatar): (String, String) = (name, avatar);
    MemberShown {
        client: member.id.clone(),
        user: member.user.clone(),
        name: name.into(),
        avatar: avatar.into(),
    }
}

impl Announcements {
    pub(super) fn new(gateway: &Gateway) -> Self {
        let classic = &gateway.config.classic;
        Self {
            backplane: gateway.context.backplane.clone(),
            tasks: gateway.context.tasks.clone(),
            node: gateway.context.node.clone(),
            ttl: gateway.config.rooms.presence_ttl.duration(),
            counted_room: classic.enabled.then(|| classic.room.clone()),
            waiting: FuturesOrdered::new(),
        }
    }

    /// Somebody has come.
    pub(super) fn joined(&mut self, room: &Room, subscriber: &Subscriber) {
        let Some(profile) = subscriber.profile.as_ref().filter(|_| room.policy.presence) else { return };
        let recorded =
            self.backplane.join(&self.node, vec![(room.channel.clone(), member(profile))], self.ttl);
        let announce = |count| Signal::Join(Presence { member: profile.as_ref().into(), count });
        self.announce(room, recorded, announce);
    }

    /// Somebody has gone.
    pub(super) fn left(&mut self, room: &Room, subscriber: &Subscriber) {
        let Some(profile) = subscriber.profile.as_ref().filter(|_| room.policy.presence) else { return };
        let recorded = self.backplane.leave(&room.channel, &profile.client);
        let announce = |count| Signal::Leave(Presence { member: profile.as_ref().into(), count });
        self.announce(room, recorded.map(|left| left.map(drop)).boxed(), announce);
    }

    /// Somebody has another name or picture.
    pub(super) fn renamed(&mut self, room: &Room, subscriber: &Subscriber) {
        let Some(profile) = subscriber.profile.as_ref() else { return };
        let recorded =
            self.backplane.join(&self.node, vec![(room.channel.clone(), member(profile))], self.ttl);
        let announce = |_| Signal::Profile(Presence { member: profile.as_ref().into(), count: None });
        self.announce(room, recorded, announce);
    }

    /// Somebody is about to subscribe again: taken off the list, without a word.
    pub(super) fn forget(&mut self, room: &Room, subscriber: &Subscriber) {
        let answer = self.backplane.leave(&room.channel, subscriber.client());
        self.tasks.spawn_light(async move {
            if let Err(error) = answer.await {
                tracing::debug!(%error, "could not take a member off the list");
            }
        });
    }

    /// Records everybody again, so that a loss of the list, or of this node's place on it, heals.
    pub(super) fn renew<'a>(&self, rooms: impl Iterator<Item = &'a Room>) {
        let mut joins = Vec::new();
        for room in rooms.filter(|room| room.policy.presence) {
            let profiles = room.subscribers().values().filter_map(|subscriber| subscriber.profile.as_ref());
            joins.extend(profiles.map(|profile| (room.channel.clone(), member(profile))));
        }
        for chunk in joins.chunks(RENEWED_AT_ONCE) {
            let answer = self.backplane.join(&self.node, chunk.to_vec(), self.ttl);
            self.tasks.spawn_light(async move {
                if let Err(error) = answer.await {
                    tracing::debug!(%error, "could not renew presence");
                }
            });
        }
    }

    /// Publishes the next announcement that is ready; pending while there is none. Cancel-safe: what was taken off the
    /// queue is published without waiting.
    pub(super) async fn next(&mut self) -> Option<()> {
        if self.waiting.is_empty() {
            return std::future::pending().await;
        }
        let (channel, signal) = self.waiting.next().await?;
        self.publish(&channel, &signal);
        Some(())
    }

    /// Publishes without waiting: the call is under way, and an announcement that is lost is not repeated.
    fn publish(&self, channel: &Name, signal: &Signal) {
        drop(self.backplane.publish(channel, signal.encode()));
    }

    fn announce(&mut self, room: &Room, recorded: Answer<()>, signal: impl FnOnce(Option<usize>) -> Signal) {
        if self.waiting.len() >= WAITING {
            return;
        }
        let counted = self.counted_room.as_deref() == Some(room.id.as_str());
        let stats: OptionFuture<Answer<PresenceStats>> =
            counted.then(|| self.backplane.stats(&room.channel)).into();
        let mut signal = signal(None);
        let channel = room.channel.clone();
        let announcement = async move {
            if let Err(error) = recorded.await {
                tracing::debug!(%error, "could not record presence, it will be renewed");
            }
            if let Some(Ok(stats)) = stats.await {
                count(&mut signal, stats.clients);
            }
            (channel, signal)
        };
        let mut announcement = announcement.boxed();
        // The in-process backplane has answered already.
        match self.waiting.is_empty().then(|| (&mut announcement).now_or_never()).flatten() {
            Some((channel, signal)) => self.publish(&channel, &signal),
            None => self.waiting.push_back(announcement),
        }
    }
}

fn count(signal: &mut Signal, clients: usize) {
    if let Signal::Join(presence) | Signal::Leave(presence) = signal {
        presence.count = Some(clients);
    }
}

/// Announces the people whom a dead replica left behind.
pub(crate) async fn announce_reaped(gateway: std::sync::Arc<Gateway>, left: Vec<(Name, Member)>) {
    let backplane = &gateway.context.backplane;
    let counted = gateway.classic_room.as_ref().map(|room| room.shared().clone());
    for (channel, member) in left {
        if channel.service() != "chat" || channel.kind() != "room" {
            continue;
        }
        let count = match &counted {
            Some(room) if room == channel.id() => {
                backplane.stats(&channel).await.ok().map(|stats| stats.clients)
            }
            _ => None,
        };
        let signal = Signal::Leave(Presence { member: shown(&member), count });
        if let Err(error) = backplane.publish(&channel, signal.encode()).await {
            tracing::debug!(%error, "could not announce who was left behind");
        }
    }
}
