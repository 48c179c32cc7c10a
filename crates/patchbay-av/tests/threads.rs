//! Native threads and open files: as many as before once the sources have stopped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it took"
)]

use patchbay_av::{AvTranscoders, FileSource, PictureSize, TestSettings, TestSource, TranscodeSettings};
use patchbay_media::{
    Codec, Spawn, Task,
    hub::{Hub, HubConfig, Mode, Reordering, Source, StreamName, Wanted},
    ring::Start,
};
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

struct OnRuntime;

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Threads and open files, apart from the folder that is read to count them.
fn used() -> (usize, usize) {
    (count("/proc/self/task"), count("/proc/self/fd"))
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}: did not come about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{what} after {:?}", start.elapsed());
}

async fn watch(hub: &Hub, name: &StreamName, wanted: Wanted) {
    let mut subscription = hub.subscribe(name, wanted).unwrap();
    let selected = subscription.tracks().await.unwrap();
    let track = selected.video.unwrap();
    let mut reader = track.reader(Start::NewestKey);
    for _ in 0..15 {
        tokio::time::timeout(Duration::from_secs(10), reader.next()).await.expect("a unit in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=1"])
        .args(["-c:v", "libx264", "-bf", "2"])
        .arg(&path)
        .status()
        .expect("this test needs the program ffmpeg");
    assert!(made.success());
    let size = PictureSize::new(320, 240).unwrap();
    let test = TestSource::new(TestSettings::new("test", size), Arc::new(|| 1_795_413_053_042)).unwrap();
    let sources: [(&str, Arc<dyn Source>); 2] =
        [("test", Arc::new(test)), ("file", Arc::new(FileSource::new(path)))];
    let config = HubConfig { linger: Duration::from_millis(1), ..HubConfig::default() };
    let hub = Hub::new(config, Arc::new(OnRuntime));
    hub.transcode_with(Arc::new(AvTranscoders::new(TranscodeSettings::default()).unwrap()));
    for (name, source) in sources {
        hub.add(StreamName::parse(name).unwrap(), source, Mode::OnDemand).unwrap();
    }
    let browser = Wanted {
        video: vec![Codec::H264],
        audio: vec![Codec::Opus],
        reordered: Reordering::NotAllowed,
        limit: None,
    };
    let mut before = (0, 0);
    for round in 0..4 {
        for name in ["test", "file"] {
            watch(&hub, &StreamName::parse(name).unwrap(), browser.clone()).await;
            if round == 0 {
                // The runtime's own threads, and what libraries open once, are there from now on.
                eventually("the first run has ended", || threads_of_ours() == 0).await;
                before = used();
                continue;
            }
            eventually(&format!("{name}: back to {before:?}"), || used() <= before).await;
        }
    }
}

/// Threads whose names are those of this crate.
fn threads_of_ours() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("av-")).count()
}
