//! Files as cameras.

use super::world::{World, add, fields, file_camera, reason, with};
use anyhow::Result;
use patchbay_chassis::config::Layer;
use patchbay_proto::camera::v1 as pb;
use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};
use tempfile::tempdir;

fn media_folder(folder: PathBuf) -> impl Fn(&str, Layer) -> Layer {
    move |name, flags| flags.set(&format!("{name}.cameras.media_folder"), folder.display().to_string())
}

#[tokio::test]
async fn only_files_below_the_folder_become_cameras() -> Result<()> {
    let folder = tempdir()?;
    let media = folder.path().join("media");
    fs::create_dir(&media)?;
    fs::write(folder.path().join("secret.mp4"), "x")?;
    fs::write(media.join("a.mp4"), "x")?;
    symlink(folder.path().join("secret.mp4"), media.join("link.mp4"))?;
    let mut world = World::start_with(folder.path(), &media_folder(media.clone())).await?;
    let token = world.token(&["media:read:*", "media:write:*", "media:view:*"])?;
    for path in ["../secret.mp4", "link.mp4", "none.mp4", "/etc/passwd", ".", "", "a.mp4/b", "a\0.mp4"] {
        let refused = add(&mut world.one, &token, file_camera("bad", path)).await;
        assert_eq!(fields(refused), ["camera.file.path"], "{path}");
    }
    let added = add(&mut world.one, &token, file_camera("good", "a.mp4")).await?;
    assert_eq!(added.source, Some(pb::camera::Source::File(pb::FileSource { path: "a.mp4".into() })));
    // It is no media file, and a link that appears later does not help.
    let snapshot = pb::GetSnapshotRequest { name: "good".into(), width: 0 };
    let refused = world.one.client.get_snapshot(with(&token, snapshot.clone())).await;
    let message = refused.as_ref().map_err(|status| status.message().to_owned()).err().unwrap_or_default();
    println!("what is no media file: {message}");
    assert_eq!(reason(refused), "NO_PICTURE");
    fs::remove_file(media.join("a.mp4"))?;
    symlink(folder.path().join("secret.mp4"), media.join("a.mp4"))?;
    let update = pb::UpdateCameraRequest { name: "good".into(), camera: Some(file_camera("good", "a.mp4")) };
    assert_eq!(fields(world.one.client.update_camera(with(&token, update)).await), ["camera.file.path"]);
    world.stop().await
}

#[tokio::test]
async fn a_file_plays_and_can_be_seen() -> Result<()> {
    let folder = tempdir()?;
    let media = folder.path().join("media");
    fs::create_dir(&media)?;
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "2"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"])
        .arg(media.join("clip.mp4"))
        .status()?;
    anyhow::ensure!(made.success(), "ffmpeg makes a clip");
    let mut world = World::start_with(folder.path(), &media_folder(media)).await?;
    let token = world.token(&["media:read:*", "media:write:*", "media:view:*"])?;
    add(&mut world.one, &token, file_camera("clip", "clip.mp4")).await?;
    let snapshot = pb::GetSnapshotRequest { name: "clip".into(), width: 160 };
    let picture = world.one.client.get_snapshot(with(&token, snapshot)).await?.into_inner();
    assert_eq!((picture.width, picture.height), (160, 120));
    let request = with(&token, pb::GetStatisticsRequest { name: "clip".into() });
    let statistics = world.one.client.get_statistics(request).await?.into_inner();
    let status = statistics.status.unwrap_or_default();
    assert_eq!((status.state(), status.captures, status.encoders), (pb::CameraState::Live, 1, 0));
    assert_eq!((statistics.starts, status.tracks.len()), (1, 1));
    world.stop().await
}
