//! Slow computations on threads of their own: RSA on one set, password hashes on another with a low priority and a
//! budget of memory, so that neither delays what is quick.

use crate::{config, error::Error};
use rustix::{process::setpriority_process, thread::gettid};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Niceness of the threads that hash passwords: they get what is left, and one user's wait for a second sign-in is nothing
/// against everybody's wait for a decryption.
const HASH_NICENESS: i32 = 15;

/// A computation; what it returns tells the caller.
type Job = Box<dyn FnOnce() -> Answer + Send>;
type Answer = Box<dyn FnOnce()>;

/// How long answers are kept to be told together while more jobs wait. A caller that is woken takes the processor from the next
/// computation, and its answer and next request cross the network alone; together they cost a third less. Nobody waits for
/// this when the queue is empty, and hashes of passwords take longer than this each.
const TOGETHER: Duration = Duration::from_millis(2);

/// The pool. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    sign: Lane,
    hash: Lane,
    /// One permit for each KiB.
    memory: Arc<Semaphore>,
    memory_kib: u32,
}

type Jobs = parking_lot::Mutex<mpsc::Receiver<Job>>;

/// Computes until the queue is closed.
fn work(jobs: &Jobs) {
    let mut answers: Vec<Answer> = Vec::new();
    let mut first = Instant::now();
    loop {
        let job = waiting(jobs).or_else(|| {
            answers.drain(..).for_each(|answer| answer());
            // The lock is held while waiting: one thread waits for the next job, the others for the lock.
            jobs.lock().blocking_recv()
        });
        let Some(job) = job else { return };
        if answers.is_empty() {
            first = Instant::now();
        }
        answers.push(job());
        if first.elapsed() >= TOGETHER {
            answers.drain(..).for_each(|answer| answer());
        }
    }
}

/// A job that is there already. Where another thread has the lock, it waits for a job, and there is none.
fn waiting(jobs: &Jobs) -> Option<Job> {
    jobs.try_lock()?.try_recv().ok()
}

/// Threads that share a queue.
#[derive(Clone)]
struct Lane {
    // Has room for everybody who has a place.
    jobs: mpsc::Sender<Job>,
    threads: usize,
    /// Callers who wait, be it for memory or for a thread.
    waiting: Arc<AtomicUsize>,
    /// How many may; more are refused with BUSY.
    queue: usize,
}

/// A place among those who wait, from the call until the computation begins, or until nobody wants it any more.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// Starts the threads; they end with the last clone of the pool.
    pub fn start(config: &config::Pool) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let (sign, hash) = match config.threads {
            0 => (processors, processors.saturating_sub(1).max(1)),
            threads => (threads, threads),
        };
        let memory_kib = u32::try_from(config.memory.0 / 1024).unwrap_or(u32::MAX);
        Self {
            sign: Lane::start("rsa", sign, config.queue, 0),
            hash: Lane::start("passwords", hash, config.queue, HASH_NICENESS),
            memory: Arc::new(Semaphore::new(memory_kib as usize)),
            memory_kib,
        }
    }

    /// Computes with a private key.
    pub async fn sign<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.sign.enter()?;
        self.sign.run(place, job).await
    }

    /// Computes a password hash that needs this much memory.
    pub async fn hash<T: Send + 'static>(
        &self,
        memory_bytes: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let kib = u32::try_from(memory_bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.memory_kib);
        let place = self.hash.enter()?;
        let budget = Arc::clone(&self.memory).acquire_many_owned(kib).await.map_err(|_| Error::Busy)?;
        self.hash
            .run(place, move || {
                let done = job();
                drop(budget);
                done
            })
            .await
    }

    /// Threads that compute with private keys.
    pub fn sign_threads(&self) -> usize {
        self.sign.threads
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> u64 {
        let lanes = [&self.sign, &self.hash];
        lanes.iter().map(|lane| lane.waiting.load(Ordering::Relaxed) as u64).sum()
    }
}

impl Lane {
    fn start(name: &str, threads: usize, queue: usize, niceness: i32) -> Self {
        let (jobs, taken) = mpsc::channel::<Job>(queue);
        let taken = Arc::new(parking_lot::Mutex::new(taken));
        for index in 0..threads {
            let taken = Arc::clone(&taken);
            let work = move || {
                // A thread that keeps its priority works all the same.
                let lowered = setpriority_process(Some(gettid()), niceness);
                debug_assert!(lowered.is_ok(), "niceness can always be raised");
                work(&taken);
            };
            let spawned = thread::Builder::new().name(format!("{name}-{index}")).spawn(work);
            if let Err(error) = spawned {
                tracing::error!(%error, name, "could not start a thread");
            }
        }
        Self { jobs, threads, waiting: Arc::default(), queue }
    }

    /// Takes a place in the queue, where there is one.
    fn enter(&self) -> Result<Place, Error> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.waiting));
        if before < self.queue { Ok(place) } else { Err(Error::Busy) }
    }

    /// A job whose caller has gone is not computed; one that panics is an internal error and costs no thread.
    async fn run<T: Send + 'static>(
        &self,
        place: Place,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let guarded: Job = Box::new(move || {
            drop(place);
            if answer.is_closed() {
                return Box::new(|| {});
            }
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            Box::new(move || {
                if let Ok(done) = done {
                    // The caller may have gone meanwhile.
                    drop(answer.send(done));
                }
            })
        });
        self.jobs.try_send(guarded).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::internal("a computation panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_chassis::ByteSize;
    use tokio::task::JoinSet;

    fn pool(queue: usize) -> Pool {
        Pool::start(&config::Pool { threads: 1, memory: ByteSize::kib(64), queue })
    }

    #[tokio::test]
    async fn computes_and_survives_a_panic() {
        let pool = pool(8);
        assert!(matches!(pool.sign(|| panic!("on purpose")).await, Err::<(), _>(Error::Internal(_))));
        assert_eq!(pool.sign(|| 7).await.unwrap(), 7);
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn refuses_what_does_not_fit_in_the_queue() {
        let pool = pool(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let mut jobs = JoinSet::new();
        jobs.spawn({
            let pool = pool.clone();
            async move {
                let work = move || {
                    assert!(begun.send(()).is_ok());
                    // Ends with the sender.
                    assert!(held.recv().is_err());
                };
                pool.sign(work).await
            }
        });
        has_begun.await.unwrap();
        jobs.spawn({
            let pool = pool.clone();
            async move { pool.sign(|| ()).await }
        });
        while pool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.sign(|| ()).await, Err(Error::Busy)));
        drop(release);
        assert!(jobs.join_all().await.into_iter().all(|done| done.is_ok()));
    }

    #[tokio::test]
    async fn answers_that_wait_to_be_told_together_are_told_when_the_queue_is_empty() {
        let pool = Pool::start(&config::Pool { threads: 2, memory: ByteSize::kib(64), queue: 64 });
        let mut jobs = JoinSet::new();
        for number in 0..50_u32 {
            let pool = pool.clone();
            jobs.spawn(async move { pool.sign(move || number).await });
        }
        let mut answers: Vec<u32> = jobs.join_all().await.into_iter().map(Result::unwrap).collect();
        answers.sort_unstable();
        assert_eq!(answers, (0..50).collect::<Vec<_>>());
    }

    /// A hash that takes all the memory, and ends when the sender is dropped.
    async fn fill_memory(pool: &Pool, jobs: &mut JoinSet<Result<(), Error>>) -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let pool = pool.clone();
        let work = move || {
            assert!(begun.send(()).is_ok());
            assert!(held.recv().is_err());
        };
        jobs.spawn(async move { pool.hash(64 * 1024, work).await });
        has_begun.await.unwrap();
        release
    }

    #[tokio::test]
    async fn those_who_wait_for_memory_are_counted_and_bounded() {
        let pool = pool(3);
        let mut jobs = JoinSet::new();
        let release = fill_memory(&pool, &mut jobs).await;
        for _ in 0..3 {
            let pool = pool.clone();
            jobs.spawn(async move { pool.hash(64 * 1024, || ()).await });
        }
        while pool.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.hash(64 * 1024, || ()).await, Err(Error::Busy)));
        assert_eq!(pool.waiting(), 3, "who is refused does not wait");
        assert!(pool.sign(|| ()).await.is_ok(), "the other lane has a queue of its own");
        drop(release);
        assert!(jobs.join_all().await.into_iter().all(|done| done.is_ok()));
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_his_place() {
        let pool = pool(1);
        let mut jobs = JoinSet::new();
        let release = fill_memory(&pool, &mut jobs).await;
        let mut gone = Box::pin(pool.hash(64 * 1024, || ()));
        assert!(futures_util::poll!(&mut gone).is_pending());
        assert!(matches!(pool.hash(64 * 1024, || ()).await, Err(Error::Busy)));
        drop(gone);
        assert_eq!(pool.waiting(), 0);
        let mut next = Box::pin(pool.hash(64 * 1024, || 7));
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(release);
        assert_eq!(next.await.unwrap(), 7);
        assert!(jobs.join_all().await.into_iter().all(|done| done.is_ok()));
    }

    #[tokio::test]
    async fn password_hashes_share_a_budget_of_memory() {
        let pool = Pool::start(&config::Pool { threads: 4, memory: ByteSize::kib(64), queue: 64 });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut jobs = JoinSet::new();
        for _ in 0..16 {
            let (pool, now, most) = (pool.clone(), now.clone(), most.clone());
            jobs.spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                pool.hash(32 * 1024, work).await
            });
        }
        assert!(jobs.join_all().await.into_iter().all(|done| done.is_ok()));
        assert!(most.load(Ordering::SeqCst) <= 2, "64 KiB hold two jobs of 32 KiB");
    }
}
