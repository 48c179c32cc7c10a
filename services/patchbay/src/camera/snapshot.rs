//! `patchbay camera snapshot`.

use super::{RelayArgs, refused};
use anyhow::{Context, ensure};
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::GetSnapshotRequest;
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

#[derive(Args)]
pub(crate) struct SnapshotArgs {
    /// Name of the camera.
    name: String,
    /// Where it goes; `-` is standard output. Without it, the camera's name with `.jpg`.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Greatest width in pixels, 16 to 3840; that of the camera without it.
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    width: u32,
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) async fn run(args: &SnapshotArgs) -> anyhow::Result<()> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.jpg", args.name)));
    let is_stdout = out == Path::new("-");
    ensure!(
        !(is_stdout && io::stdout().is_terminal()),
        "a picture is not for a terminal: name a file with --out"
    );
    let request = GetSnapshotRequest { name: args.name.clone(), width: args.width };
    let answer =
        args.relay.connect().await?.get_snapshot(request).await.map_err(|status| refused(&status))?;
    let picture = answer.into_inner();
    if is_stdout {
        return io::stdout().write_all(&picture.jpeg).context("could not write to standard output");
    }
    fs::write(&out, &picture.jpeg).with_context(|| format!("could not write {}", out.display()))?;
    Ok(cli::print(&format!("{}: {}x{}", out.display(), picture.width, picture.height))?)
}
