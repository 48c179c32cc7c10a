//! Threads for work that blocks: named, stopped by a signal that also wakes their waits, their panics told as failures.

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::{Condvar, Mutex};
use patchbay_media::hub::SourceError;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Tells a thread to stop.
#[derive(Debug, Default)]
pub struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Tells it.
    pub fn tell(&self) {
        *self.told.lock() = true;
        self.changed.notify_all();
    }

    /// True when it was told.
    pub fn is_told(&self) -> bool {
        *self.told.lock()
    }

    /// Waits for a moment; true when the thread was told to stop.
    pub fn wait_until(&self, moment: Instant) -> bool {
        let mut told = self.told.lock();
        while !*told {
            if self.changed.wait_until(&mut told, moment).timed_out() {
                return *told;
            }
        }
        true
    }
}

/// Tells the thread to stop when nobody waits for it any more.
struct TellOnDrop(Arc<Stop>);

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// Runs work on a thread of its own until it returns; tells it to stop when `stop` is cancelled, or when this future is dropped.
pub fn run(
    name: &'static str,
    stop: CancellationToken,
    work: impl FnOnce(&Arc<Stop>) -> Result<(), SourceError> + Send + 'static,
) -> BoxFuture<'static, Result<(), SourceError>> {
    async move {
        let signal = Arc::new(Stop::default());
        let guard = TellOnDrop(Arc::clone(&signal));
        let (done, mut ended) = oneshot::channel();
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&signal)));
            let result = result.unwrap_or_else(|panic| {
                let reason = panic.downcast_ref::<String>().map(String::as_str);
                let reason = reason.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
                tracing::error!(thread = name, reason, "a source failed inside");
                Err(SourceError::temporary(PANICKED))
            });
            // Nobody waits any more: the source was dropped.
            drop(done.send(result));
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
            return Err(SourceError::temporary(format!(
                "the machine gives no thread for the source: {error}"
            )));
        }
        tokio::select! {
            () = stop.cancelled() => guard.0.tell(),
            result = &mut ended => return result.unwrap_or_else(|_| Err(SourceError::temporary(PANICKED))),
        }
        ended.await.unwrap_or_else(|_| Err(SourceError::temporary(PANICKED)))
    }
    .boxed()
}

const PANICKED: &str = "the source failed inside; the log of the service has the reason";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    /// Threads of this process with that name.
    pub(crate) fn threads(name: &str) -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|comm| comm.trim() == name).count()
    }

    /// Waits until something is so, at most five seconds.
    pub(crate) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is() {
            assert!(start.elapsed() < Duration::from_secs(5), "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        println!("{what} after {:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let result = run("av-panic", CancellationToken::new(), |_| panic!("on purpose")).await;
        assert!(result.unwrap_err().to_string().contains("failed inside"));
    }

    #[tokio::test]
    async fn a_thread_stops_when_it_is_told_or_dropped() {
        let wait = |stop: &Arc<Stop>| {
            let told = stop.wait_until(Instant::now() + Duration::from_mins(10));
            told.then_some(()).ok_or_else(|| SourceError::temporary("not told"))
        };
        let token = CancellationToken::new();
        let task = tokio::task::spawn_blocking({
            let (token, handle) = (token.clone(), tokio::runtime::Handle::current());
            move || handle.block_on(run("av-told", token, wait))
        });
        eventually("the thread runs", || threads("av-told") == 1).await;
        token.cancel();
        task.await.unwrap().unwrap();
        eventually("the thread is gone", || threads("av-told") == 0).await;

        let mut dropped = run("av-dropped", CancellationToken::new(), wait);
        assert!((&mut dropped).now_or_never().is_none());
        eventually("the thread runs", || threads("av-dropped") == 1).await;
        drop(dropped);
        eventually("the thread is gone", || threads("av-dropped") == 0).await;
    }
}
