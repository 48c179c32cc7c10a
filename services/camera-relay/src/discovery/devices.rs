//! Video devices that the configuration allows and that are there.

use super::Discovered;
use std::{fs, os::unix::fs::FileTypeExt, path::Path};

/// Bytes of a device's name that are kept.
const NAME: usize = 128;

/// Looks at the disk, so that it happens on a thread for that.
pub(super) async fn list(paths: Vec<String>) -> Vec<Discovered> {
    let looked = tokio::task::spawn_blocking(move || {
        paths.into_iter().filter(|path| is_there(path)).map(found).collect()
    });
    looked.await.unwrap_or_default()
}

fn is_there(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
}

fn found(path: String) -> Discovered {
    let file = Path::new(&path).file_name().unwrap_or_default();
    // What the driver calls it.
    let told = fs::read_to_string(Path::new("/sys/class/video4linux").join(file).join("name"));
    let name = told.unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(NAME).collect();
    Discovered { kind: "device", name, address: path, urls: Vec::new() }
}
