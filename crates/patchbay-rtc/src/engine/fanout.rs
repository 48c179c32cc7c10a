//! From a feed to all who are sent it.
//!
//! Viewers of a feed are in groups. A group is one task: it is woken once for each unit, and writes it to its viewers one after the other, so that the cost of
//! waking and of locking does not grow with them, and several groups use several processors.

use super::{Inner, table::Cell};
use crate::{
    feed::{Feed, FeedId},
    path::Batch,
    sdp::Transport,
};
use parking_lot::Mutex;
use patchbay_media::ring::Start;
use std::{collections::HashMap, sync::Arc};

#[derive(Default)]
pub(super) struct Fanouts {
    groups: Mutex<HashMap<FeedId, Vec<Arc<Group>>>>,
}

#[derive(Default)]
struct Group {
    members: Mutex<Vec<Member>>,
}

/// A track of a peer.
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
        let room = of_feed.iter().find(|group| group.members.lock().len() < inner.config.group.max(1));
        if let Some(group) = room {
            group.members.lock().push(member);
            return;
        }
        let group = Arc::new(Group { members: Mutex::new(vec![member]) });
        of_feed.push(Arc::clone(&group));
        drop(groups);
        inner.spawner.spawn("rtc-fanout", Box::pin(serve(Arc::clone(inner), Arc::clone(feed), group)));
    }

    /// Takes a peer out of all groups.
    pub(super) fn leave(&self, cell: &Cell) {
        for group in self.groups.lock().values().flatten() {
            group.members.lock().retain(|member| member.cell.id != cell.id);
        }
    }

    /// Forgets a group when nobody is in it; true when it was.
    fn retire(&self, feed: FeedId, group: &Arc<Group>) -> bool {
        let mut groups = self.groups.lock();
        if !group.members.lock().is_empty() {
            return false;
        }
        if let Some(of_feed) = groups.get_mut(&feed) {
            of_feed.retain(|other| !Arc::ptr_eq(other, group));
            if of_feed.is_empty() {
                groups.remove(&feed);
            }
        }
        true
    }

    fn remove(&self, feed: FeedId) {
        self.groups.lock().remove(&feed);
    }
}

async fn serve(inner: Arc<Inner>, feed: Arc<Feed>, group: Arc<Group>) {
    let mut reader = feed.ring().reader(Start::Next);
    let mut batch = Batch::default();
    while let Ok(read) = reader.next().await {
        for member in group.members.lock().iter() {
            batch.clear();
            let path = member.cell.connection.lock().deliver(member.track, &read.entry, &mut batch);
            let Some(path) = path else { continue };
            if !inner.send(path, &batch) && path.transport == Transport::Tcp {
                member.cancel();
            }
        }
        if group.members.lock().is_empty() && inner.fanouts.retire(feed.id(), &group) {
            return;
        }
    }
    inner.fanouts.remove(feed.id());
}

impl Member {
    /// A queue over TCP was full, and nothing asks for what was lost there: the viewer goes on at a key frame.
    fn cancel(&self) {
        if let Some(sender) = self.cell.connection.lock().senders.get_mut(self.track) {
            sender.wait_for_key();
        }
    }
}
