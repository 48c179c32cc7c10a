//! What a camera costs that nobody has to decode.

use super::{film::*, harness::*};
use patchbay_media::Codec;
use patchbay_testkit::rtsp::scripted::{Media, Script, ScriptedServer};
use std::{
    fs,
    time::{Duration, Instant},
};

/// Processor time of the threads of this process with such a name, from `/proc` (`man 5 proc`), in seconds.
fn seconds_of(is_ours: impl Fn(&str) -> bool) -> f64 {
    let mut ticks = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((head, fields)) = stat.rsplit_once(") ") else { continue };
        let Some((_, name)) = head.split_once('(') else { continue };
        if is_ours(name) {
            let mut fields = fields.split(' ').skip(11);
            ticks += (0..2).map(|_| fields.next().unwrap().parse::<u64>().unwrap()).sum::<u64>();
        }
    }
    ticks as f64 / 100.0
}

/// 20 cameras with 720p, 25 pictures a second, 2 Mbit/s over TCP, each with a viewer that reads. The servers run on threads of their own, which are not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for ten seconds"]
async fn twenty_cameras_pass_through() {
    const CAMERAS: usize = 20;
    const SPAN: Duration = Duration::from_secs(10);
    let clip = Clip::new(Codec::H264, 1280, 720, 2_000_000);
    let hub = hub();
    let mut kept = Vec::new();
    for number in 0..CAMERAS {
        let server = ScriptedServer::start(Script::new(clip.sdp(), Media::Film(clip.film()))).unwrap();
        let mut viewer = Viewer::in_hub(hub.clone(), &format!("camera/{number}"), settings(server.address()));
        let mut reader = reader(&*viewer.video().await);
        let reading = tokio::runtime::Handle::current().spawn(async move {
            let (mut units, mut bytes) = (0_u64, 0);
            while let Ok(read) = reader.next().await {
                units += 1;
                bytes += read.entry.item.data.len();
                if units == u64::from(FPS) * SPAN.as_secs() {
                    return bytes;
                }
            }
            0
        });
        kept.push((server, viewer, reading));
    }
    let is_worker = |name: &str| name.starts_with("tokio-r") || name.starts_with("tokio-rt");
    let (begun, before) = (Instant::now(), seconds_of(is_worker));
    let mut bytes = 0;
    for (_, _, reading) in &mut kept {
        bytes += reading.await.unwrap();
    }
    let (wall, used) = (begun.elapsed().as_secs_f64(), seconds_of(is_worker) - before);
    let each = used / wall / CAMERAS as f64 * 100.0;
    let rate = bytes as f64 * 8.0 / wall / CAMERAS as f64 / 1e6;
    println!(
        "{CAMERAS} cameras of {rate:.2} Mbit/s: {each:.3} % of a core for each ({used:.2} s in {wall:.2} s)"
    );
    assert!(each < 10.0, "{each}");
}
