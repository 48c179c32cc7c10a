use crate::{
    Codec,
    hub::{
        Mode, Publisher, Source, SourceError,
        testing::{Act, Script, audio, browser, hub, name, until, video},
    },
    track::Track,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Runs another source and keeps what it saw of it.
struct Outer {
    inside: Arc<Script>,
    hides: bool,
    seen: Mutex<Vec<Arc<Track>>>,
}

impl Outer {
    fn around(inside: Arc<Script>, hides: bool) -> Arc<Self> {
        Arc::new(Self { inside, hides, seen: Mutex::default() })
    }
}

impl Source for Outer {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let (inside, mut observer) = if self.hides { publisher.hidden() } else { publisher.observed() };
            let seeing = async {
                while let Some(tracks) = observer.tracks().await {
                    inside_health_is_ours(&publisher, &tracks);
                    self.seen.lock().extend(tracks.iter().cloned());
                }
                std::future::pending().await
            };
            tokio::select! {
                result = Arc::clone(&self.inside).run(inside, stop) => result,
                never = seeing => never,
            }
        })
    }
}

fn inside_health_is_ours(publisher: &Publisher, tracks: &[Arc<Track>]) {
    publisher.hidden().0.health().lose(tracks.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn what_is_observed_is_what_consumers_get() {
    let hub = hub();
    let outer = Outer::around(Script::playing(vec![video(Codec::H264), audio(Codec::Opus)]), false);
    hub.add(name("camera/one"), Arc::clone(&outer) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    let mut subscription = hub.subscribe(&name("camera/one"), browser()).unwrap();
    let selected = subscription.tracks().await.unwrap();
    until("both tracks are seen", || outer.seen.lock().len() == 2).await;
    assert!(Arc::ptr_eq(&outer.seen.lock()[0], &selected.video.unwrap()));
    assert!(Arc::ptr_eq(&outer.seen.lock()[1], &selected.audio.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_is_hidden_reaches_nobody_else() {
    let hub = hub();
    let (first, second) = (vec![video(Codec::H264)], vec![video(Codec::H265), audio(Codec::Opus)]);
    let script = Script::new(move |_| Act::Change(Duration::from_secs(1), first.clone(), second.clone()));
    let outer = Outer::around(script, true);
    hub.add(name("camera/one"), Arc::clone(&outer) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    let mut whole = hub.subscribe_whole(&name("camera/one")).unwrap();
    until("both generations are seen", || outer.seen.lock().len() == 3).await;
    let none = tokio::time::timeout(Duration::from_secs(2), whole.tracks()).await;
    assert!(none.is_err(), "nothing was published outside");
    let seen = outer.seen.lock().clone();
    assert!(seen[0].ring().has_ended(), "the first generation is over");
    assert!(seen[1].ring().written() > 10);
    assert_eq!(hub.health(&name("camera/one")).unwrap().lost, 3, "health counts where the stream is");
}
