//! Sends to viewers with little bandwidth what their pace allows, in small steps.
//!
//! One task for all of them, which sleeps while there are none. Viewers with room are not concerned.

use super::{Inner, table::Cell};
use crate::{connection::Sender, path::Batch, sdp::Transport};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// Time between two steps: less than what a pace allows at once.
const STEP: Duration = Duration::from_millis(10);

/// Who is paced.
#[derive(Default)]
pub(super) struct Pacer {
    /// By number; at most as many as there are peers.
    cells: Mutex<HashMap<u64, Weak<Cell>>>,
    wake: Notify,
}

impl Pacer {
    pub(super) fn add(&self, cell: &Arc<Cell>) {
        self.cells.lock().insert(cell.id, Arc::downgrade(cell));
        self.wake.notify_one();
    }

    fn cells(&self) -> Vec<Arc<Cell>> {
        self.cells.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn keep(&self, is_paced: impl Fn(&Cell) -> bool) {
        self.cells.lock().retain(|_, cell| cell.upgrade().is_some_and(|cell| is_paced(&cell)));
    }
}

pub(super) async fn run(inner: Arc<Inner>) {
    let mut steps = tokio::time::interval(STEP);
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = Batch::default();
    loop {
        let cells = inner.pacer.cells();
        if cells.is_empty() {
            inner.pacer.wake.notified().await;
        }
        for cell in &cells {
            send(&inner, cell, &mut batch);
        }
        drop(cells);
        inner.pacer.keep(|cell| cell.connection.lock().is_paced());
        steps.tick().await;
    }
}

fn send(inner: &Arc<Inner>, cell: &Arc<Cell>, batch: &mut Batch) {
    batch.clear();
    let (path, is_over) = {
        let mut connection = cell.connection.lock();
        (connection.pump(batch), connection.is_closed())
    };
    if is_over {
        return inner.settle(cell, batch);
    }
    let Some(path) = path else { return };
    if !inner.send(path, batch) && path.transport == Transport::Tcp {
        let mut connection = cell.connection.lock();
        connection.senders.iter_mut().filter(|sender| sender.is_paced()).for_each(Sender::wait_for_key);
    }
}
