//! From a feed to all who are sent it.
//!
//! Viewers of a feed are in groups. A group is one task: it is woken once for each unit, and writes it to its viewers one after the other, so that the cost of
//! waking and of locking does not grow with them, and several groups use several processors.

use super::{Inner, table::Cell};
use crate::{
    feed::{Feed, FeedId, Packets},
    path::Batch,
    sdp::Transport,
};
use parking_lot::Mutex;
use patchbay_media::ring::{Entry, Reader, Start};
use std::{collections::HashMap, sync::Arc};

#[derive(Default)]
pub(super) struct Fanouts {
    groups: Mutex<HashMap<FeedId, Vec<Arc<Group>>>>,
}

/// Viewers of one task. It goes through a list that nobody changes, so that who joins or leaves does not wait while a unit is sent to all.
struct Group {
    members: Mutex<Arc<[Member]>>,
}

/// A track of a peer.
#[derive(Clone)]
struct Member {
    cell: Arc<Cell>,
    track: usize,
}

impl Fanouts {
    /// Adds a track of a peer to the viewers of its feed.
    pub(super) fn join(&self, inner: &Arc<Inner>, feed: &Arc<Feed>, cell: &Arc<Cell>, track: usize) {
        let member = Member { cell: Arc::clone(cell), track };
        let mut groups = self.groups.lock();
        let of_feed = groups.entry(feed.id()).or_default();
        if of_feed.iter().any(|group| group.members().iter().any(|other| other.is(&member))) {
            return;
        }
        let room = of_feed.iter().find(|group| group.members().len() < inner.config.group.max(1));
        if let Some(group) = room {
            let mut members = group.members.lock();
            *members = members.iter().cloned().chain([member]).collect();
            return;
        }
        let group = Arc::new(Group { members: Mutex::new([member].into()) });
        of_feed.push(Arc::clone(&group));
        drop(groups);
        // From here on, not from when the task runs: the key frame that the newcomer waits for may come meanwhile.
        let reader = feed.ring().reader(Start::Next);
        inner.spawn("rtc-fanout", serve(Arc::clone(inner), Arc::clone(feed), group, reader));
    }

    /// Takes a peer out of the groups of these feeds.
    pub(super) fn leave(&self, feeds: &[FeedId], cell: &Cell) {
        let groups = self.groups.lock();
        for group in feeds.iter().filter_map(|feed| groups.get(feed)).flatten() {
            let mut members = group.members.lock();
            if members.iter().any(|member| member.cell.id == cell.id) {
                *members = members.iter().filter(|member| member.cell.id != cell.id).cloned().collect();
            }
        }
    }

    /// Takes a peer out of all groups: also out of those of feeds that it waited for, and does not want any more.
    pub(super) fn leave_all(&self, cell: &Cell) {
        let feeds = self.groups.lock().keys().copied().collect::<Vec<_>>();
        self.leave(&feeds, cell);
    }

    /// Takes those out of a group who get another feed now. Whoever has come back to this one meanwhile stays.
    fn dismiss(&self, feed: FeedId, group: &Group) {
        let _groups = self.groups.lock();
        let mut members = group.members.lock();
        let staying = |member: &&Member| member.cell.connection.lock().wants(member.track, feed);
        *members = members.iter().filter(staying).cloned().collect();
    }

    /// Forgets a group when nobody is in it; true when it was.
    fn retire(&self, feed: FeedId, group: &Arc<Group>) -> bool {
        let mut groups = self.groups.lock();
        if !group.members().is_empty() {
            return false;
        }
        forget(&mut groups, feed, group);
        true
    }

    /// Forgets a group of a feed that has ended.
    fn remove(&self, feed: FeedId, group: &Arc<Group>) {
        forget(&mut self.groups.lock(), feed, group);
    }

    #[cfg(test)]
    pub(super) fn members(&self) -> usize {
        self.groups.lock().values().flatten().map(|group| group.members().len()).sum()
    }
}

fn forget(groups: &mut HashMap<FeedId, Vec<Arc<Group>>>, feed: FeedId, group: &Arc<Group>) {
    let Some(of_feed) = groups.get_mut(&feed) else { return };
    of_feed.retain(|other| !Arc::ptr_eq(other, group));
    if of_feed.is_empty() {
        groups.remove(&feed);
    }
}

async fn serve(inner: Arc<Inner>, feed: Arc<Feed>, group: Arc<Group>, mut reader: Reader<Packets>) {
    let mut batch = Batch::default();
    while let Ok(read) = reader.next().await {
        let mut is_left = false;
        for member in group.members().iter() {
            is_left |= member.deliver(&inner, feed.id(), &read.entry, &mut batch) == Stays::No;
        }
        if is_left {
            inner.fanouts.dismiss(feed.id(), &group);
        }
        if group.members().is_empty() && inner.fanouts.retire(feed.id(), &group) {
            return;
        }
        // Others shall have their turn even while units are made up for.
        tokio::task::consume_budget().await;
    }
    inner.fanouts.remove(feed.id(), &group);
}

impl Group {
    fn members(&self) -> Arc<[Member]> {
        Arc::clone(&self.members.lock())
    }
}

/// Whether a member has any more use for the feed of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    Yes,
    No,
}

impl Member {
    fn is(&self, other: &Self) -> bool {
        self.cell.id == other.cell.id && self.track == other.track
    }

    fn deliver(&self, inner: &Arc<Inner>, feed: FeedId, entry: &Entry<Packets>, batch: &mut Batch) -> Stays {
        batch.clear();
        let (path, is_over, is_wanted) = {
            let mut connection = self.cell.connection.lock();
            let path = connection.deliver(self.track, feed, entry, batch);
            (path, connection.is_closed(), connection.wants(self.track, feed))
        };
        if is_over {
            // It may have ended right here; whoever holds the peer shall hear of it now.
            inner.settle(&self.cell, batch);
            return Stays::No;
        }
        if let Some(path) = path
            && !inner.send(path, batch)
            && path.transport == Transport::Tcp
        {
            self.cancel();
        }
        if is_wanted { Stays::Yes } else { Stays::No }
    }

    /// A queue over TCP was full, and nothing asks for what was lost there: the viewer goes on at a key frame.
    fn cancel(&self) {
        if let Some(sender) = self.cell.connection.lock().senders.get_mut(self.track) {
            sender.wait_for_key();
        }
    }
}
