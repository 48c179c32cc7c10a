//! A consumer of all tracks of a stream as they are: another replica, a recorder.

use super::{
    Ended, StreamName,
    stream::{Consumer, Flow},
};
use crate::track::Track;
use std::sync::Arc;
use tokio::sync::watch;

/// A hold on a stream and all its tracks: while it exists, the source runs. Dropping it lets go.
#[derive(Debug)]
pub struct Whole {
    consumer: Consumer,
    flow: watch::Receiver<Flow>,
    /// Number of the generation that was given last.
    given: Option<u64>,
}

impl Whole {
    pub(super) fn new(consumer: Consumer) -> Self {
        let flow = consumer.stream().flow.subscribe();
        Self { consumer, flow, given: None }
    }

    /// Name of the stream.
    pub fn name(&self) -> &StreamName {
        &self.consumer.stream().name
    }

    /// The tracks: waits for the first ones, then for those that take their place. A source that fails and comes back brings others. Cancel safe.
    pub async fn tracks(&mut self) -> Result<Arc<[Arc<Track>]>, Ended> {
        loop {
            if let Some(tracks) = self.update()? {
                return Ok(tracks);
            }
            // The sender lives as long as the consumer.
            drop(self.flow.changed().await);
        }
    }

    fn update(&mut self) -> Result<Option<Arc<[Arc<Track>]>>, Ended> {
        let (generation, ended) = {
            let flow = self.flow.borrow_and_update();
            (flow.generation.clone(), flow.ended)
        };
        if let Some(ended) = ended {
            return Err(ended);
        }
        let Some(generation) = generation.filter(|generation| self.given != Some(generation.number)) else {
            return Ok(None);
        };
        self.given = Some(generation.number);
        Ok(Some(generation.tracks))
    }
}
