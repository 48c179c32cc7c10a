//! What making Opus of AAC costs: a viewer who listens beside one who only looks, at a file with both.

use crate::{
    aiortc::watch,
    load::Viewers,
    relay::Relay,
    report::{Figure, Report},
};
use anyhow::{Context as _, Result, ensure};
use std::{path::Path, process::Command, time::Duration};

/// The thread in which camera-relay decodes, resamples and encodes.
const TRANSCODER: &str = "av-transcode";

/// What one viewer costs, in cores.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// The whole server.
    all: f64,
    /// The transcoder.
    transcoder: f64,
}

/// One round.
pub(crate) async fn round(relay: &Path, window: Duration, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    make_film(&folder.path().join("film.mp4"))?;
    let relay = Relay::start_file(relay, folder.path(), "film.mp4")?;
    let looking = cost(&relay, Viewers::start(&relay.url(), "film", 1)?, window).await?;
    ensure!(looking.transcoder <= 0.0, "nobody listens, and a transcoder runs");
    let listening = cost(&relay, Viewers::start_listening(&relay.url(), "film", 1)?, window).await?;
    ensure!(listening.transcoder > 0.0, "there is no thread {TRANSCODER}");
    let alone = Figure::new("CPU of making Opus of AAC, the transcoder alone", "% of a core");
    report.add(alone.reference("ffmpeg 1").at_most(1.5), listening.transcoder * 100.0);
    let sent = Figure::new("CPU of making Opus of AAC, and sending it to a viewer", "% of a core");
    report.add(sent, (listening.all - looking.all) * 100.0);
    Ok(())
}

async fn cost(relay: &Relay, load: Viewers, window: Duration) -> Result<Cost> {
    let all = watch(window, || relay.cpu());
    let transcoder = watch(window, || relay.cpu_of_threads(TRANSCODER));
    let (all, transcoder) = tokio::join!(all, transcoder);
    let got = load.stop()?;
    let cost = Cost { all: all?, transcoder: transcoder? };
    ensure!((got.sounds > 0) == (cost.transcoder > 0.0), "sound came where none was made, or none: {got:?}");
    Ok(cost)
}

/// Pictures that pass through, and stereo AAC at 48 kHz.
fn make_film(path: &Path) -> Result<()> {
    let inputs = "-v error -y -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000";
    let output = "-t 10 -c:v libx264 -profile:v baseline -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac -b:a 128k -ac 2";
    let made = Command::new("ffmpeg")
        .args(inputs.split(' '))
        .args(output.split(' '))
        .arg(path)
        .output()
        .context("cannot start ffmpeg")?;
    ensure!(made.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}
