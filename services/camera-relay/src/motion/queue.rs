//! What waits for the store: motions that begin and end are told on threads that must not wait.

use super::mark::{Mark, MotionId};
use crate::cameras::CameraName;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Motions that may wait to be written for the first time; more are dropped. At some motions a minute that is hours without a store.
pub(super) const MAX_MOTIONS: usize = 1000;

/// Bytes of their pictures; where there would be more, motions wait without theirs.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Job {
    /// A motion that the store does not know.
    Begin {
        /// Whose.
        camera: CameraName,
        /// Its id.
        id: MotionId,
        /// What is known of it.
        mark: Mark,
        /// JPEG; empty where there is none.
        picture: Bytes,
    },
    /// The end of one that it may know.
    End {
        /// Whose.
        camera: CameraName,
        /// Its id.
        id: MotionId,
        /// When.
        at: u64,
    },
}

/// What became of a motion that was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits.
    Whole,
    /// It waits without its picture.
    WithoutPicture,
    /// It was dropped.
    Nothing,
}

/// Jobs in the order in which they came. Bounded: see [`MAX_MOTIONS`] and [`MAX_BYTES`]; an end joins the beginning that waits, and one that finds none belongs to
/// a motion that was written, of which each camera has one at most that has not ended.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    motions: usize,
    bytes: usize,
}

impl Queue {
    /// Adds a motion that has begun, as far as there is room.
    pub(super) fn begin(&self, camera: CameraName, id: MotionId, mark: Mark, picture: Bytes) -> Kept {
        let mut waiting = self.waiting.lock();
        if waiting.motions >= MAX_MOTIONS {
            return Kept::Nothing;
        }
        let fits = waiting.bytes + picture.len() <= MAX_BYTES;
        let picture = if fits { picture } else { Bytes::new() };
        waiting.push_back(Job::Begin { camera, id, mark, picture });
        drop(waiting);
        self.came.notify_one();
        if fits { Kept::Whole } else { Kept::WithoutPicture }
    }

    /// Adds the end of a motion.
    pub(super) fn end(&self, camera: CameraName, id: MotionId, at: u64) {
        let mut waiting = self.waiting.lock();
        let begun = waiting.jobs.iter_mut().find_map(|job| match job {
            Job::Begin { id: found, mark, .. } if *found == id => Some(mark),
            _ => None,
        });
        match begun {
            Some(mark) => mark.ended = Some(at),
            None => waiting.push_back(Job::End { camera, id, at }),
        }
        drop(waiting);
        self.came.notify_one();
    }

    /// Waits for the next job. Cancel-safe: a job that is taken is given.
    pub(super) async fn next(&self) -> Job {
        loop {
            let came = self.came.notified();
            if let Some(job) = self.waiting.lock().pop_front() {
                return job;
            }
            came.await;
        }
    }

    /// Puts a job back that could not be done; it comes before all others.
    pub(super) fn put_back(&self, job: Job) {
        self.waiting.lock().push_front(job);
        self.came.notify_one();
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().jobs.len()
    }
}

impl Waiting {
    fn push_back(&mut self, job: Job) {
        self.count(&job);
        self.jobs.push_back(job);
    }

    fn push_front(&mut self, job: Job) {
        self.count(&job);
        self.jobs.push_front(job);
    }

    fn count(&mut self, job: &Job) {
        if let Job::Begin { picture, .. } = job {
            self.motions += 1;
            self.bytes += picture.len();
        }
    }

    fn pop_front(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        if let Job::Begin { picture, .. } = &job {
            self.motions = self.motions.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(picture.len());
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            began: 1,
            ended: None,
            seen: 1,
            zones: Vec::new(),
            score: 0.5,
            picture: false,
            node: "one".to_owned(),
        }
    }

    fn camera() -> CameraName {
        "door".parse().unwrap()
    }

    fn id(number: usize) -> MotionId {
        MotionId::new(1, &format!("{number:x}"))
    }

    #[tokio::test]
    async fn an_end_joins_the_beginning_that_waits() {
        let queue = Queue::default();
        assert_eq!(queue.begin(camera(), id(1), mark(), Bytes::new()), Kept::Whole);
        queue.end(camera(), id(1), 7);
        let Job::Begin { mark, .. } = queue.next().await else { panic!("no beginning") };
        assert_eq!(mark.ended, Some(7));
        queue.end(camera(), id(2), 8);
        assert_eq!(queue.next().await, Job::End { camera: camera(), id: id(2), at: 8 });
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn what_was_put_back_comes_before_its_end() {
        let queue = Queue::default();
        queue.begin(camera(), id(1), mark(), Bytes::new());
        let begun = queue.next().await;
        queue.end(camera(), id(1), 7);
        queue.put_back(begun.clone());
        assert_eq!(queue.next().await, begun);
        assert_eq!(queue.next().await, Job::End { camera: camera(), id: id(1), at: 7 });
    }

    #[tokio::test]
    async fn it_is_bounded_by_pictures_first_and_then_by_motions() {
        let queue = Queue::default();
        let picture = Bytes::from(vec![0; MAX_BYTES / 2]);
        let kept: Vec<Kept> =
            (0..3).map(|number| queue.begin(camera(), id(number), mark(), picture.clone())).collect();
        assert_eq!(kept, [Kept::Whole, Kept::Whole, Kept::WithoutPicture]);
        for number in 3..MAX_MOTIONS {
            assert_eq!(queue.begin(camera(), id(number), mark(), Bytes::new()), Kept::Whole);
        }
        assert_eq!(queue.begin(camera(), id(MAX_MOTIONS), mark(), Bytes::new()), Kept::Nothing);
        let first = queue.next().await;
        assert_eq!(queue.begin(camera(), id(MAX_MOTIONS), mark(), picture.clone()), Kept::Whole);
        queue.put_back(first);
        assert_eq!(queue.len(), MAX_MOTIONS + 1, "what was taken before has its place");
    }
}
