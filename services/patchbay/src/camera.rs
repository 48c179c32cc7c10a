//! `patchbay camera`: cameras of a running camera-relay.

mod add;
mod discover;
mod probe;
mod show;
mod snapshot;
mod source;
mod streams;
mod words;

use crate::{cli::DATA, remote};
use clap::{Args, Subcommand};
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{RemoveCameraRequest, cameras_client::CamerasClient};
use std::{path::PathBuf, time::Duration};
use tonic::Status;

/// Time for a call, beside what a camera is given.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What `patchbay camera` can do.
#[derive(Subcommand)]
pub(crate) enum CameraCommand {
    /// Lists cameras and how they are.
    List(RelayArgs),
    /// Shows one camera: its source, how it is, and what it carries.
    Show(NamedArgs),
    /// Adds a camera.
    Add(Box<add::AddArgs>),
    /// Looks at a source that is no camera yet, or at one that is, and says what it has or what is wrong.
    Probe(Box<probe::ProbeArgs>),
    /// Saves the newest picture of a camera as a JPEG.
    Snapshot(snapshot::SnapshotArgs),
    /// Removes a camera; its viewers are sent away.
    Remove(NamedArgs),
    /// Looks for cameras near the service: by ONVIF, and video devices.
    Discover(discover::DiscoverArgs),
    /// Asks an ONVIF camera for its streams and their addresses.
    Streams(streams::StreamsArgs),
}

/// Where camera-relay is, and as whom to call it.
#[derive(Args)]
pub(crate) struct RelayArgs {
    /// gRPC port of camera-relay.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9103")]
    url: String,
    /// Data folder whose key signs the calls.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// Key file that signs, instead of the data folder's.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct NamedArgs {
    /// Name of the camera.
    name: String,
    #[command(flatten)]
    relay: RelayArgs,
}

type Client = CamerasClient<remote::Connection>;

impl RelayArgs {
    /// Connects, for calls that take so long besides.
    async fn connect_for(&self, extra: Duration) -> anyhow::Result<Client> {
        let (key, within) = (self.key.as_deref(), TIMEOUT + extra);
        let connection = remote::connect_for("camera-relay", &self.url, key, &self.data, within).await?;
        // A picture is larger than other answers.
        Ok(CamerasClient::new(connection).max_decoding_message_size(64 << 20))
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_for(Duration::ZERO).await
    }
}

/// Does what was asked.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(command: CameraCommand) -> anyhow::Result<()> {
    match command {
        CameraCommand::List(relay) => show::list(&relay).await,
        CameraCommand::Show(args) => show::one(&args).await,
        CameraCommand::Add(args) => add::run(*args).await,
        CameraCommand::Probe(args) => probe::run(*args).await,
        CameraCommand::Snapshot(args) => snapshot::run(&args).await,
        CameraCommand::Remove(args) => remove(&args).await,
        CameraCommand::Discover(args) => discover::run(&args).await,
        CameraCommand::Streams(args) => streams::run(args).await,
    }
}

async fn remove(args: &NamedArgs) -> anyhow::Result<()> {
    let request = RemoveCameraRequest { name: args.name.clone() };
    args.relay.connect().await?.remove_camera(request).await.map_err(|status| refused(&status))?;
    Ok(cli::print(&format!("{} is removed", args.name))?)
}

fn refused(status: &Status) -> anyhow::Error {
    remote::refused_by("camera-relay", status)
}
