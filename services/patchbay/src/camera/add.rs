//! `patchbay camera add`.

use super::{
    RelayArgs, refused,
    source::{self, Opening, Origin},
};
use anyhow::{Context, bail};
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{AddCameraRequest, Camera, Corner, MotionDetection, Overlay, Processing};

#[derive(Args)]
pub(crate) struct AddArgs {
    /// Name: 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`.
    name: String,
    #[command(flatten)]
    origin: Origin,
    #[command(flatten)]
    opening: Opening,
    /// What people are shown instead of the name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    title: String,
    /// Captures it even while nobody looks.
    #[arg(long)]
    always_on: bool,
    /// A clock over the picture: `top-left`, `top-right`, `bottom-left` or `bottom-right`, and perhaps a time zone: `top-right,Europe/Berlin`.
    #[arg(long, value_name = "CORNER[,ZONE]", value_parser = overlay)]
    overlay: Option<Overlay>,
    /// Pixels down; the width follows.
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    height: u32,
    /// Looks for what moves; how little is enough, 1 to 100, may follow: `--motion=70`.
    #[arg(long, value_name = "SENSITIVITY", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    motion: Option<u32>,
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) async fn run(args: AddArgs) -> anyhow::Result<()> {
    let source = args.origin.source(args.opening)?;
    let needs_processing = args.overlay.is_some() || args.height != 0;
    let processing = Processing { overlay: args.overlay, height: args.height, ..Processing::default() };
    let camera = Camera {
        title: args.title,
        always_on: args.always_on,
        processing: needs_processing.then_some(processing),
        motion: args.motion.map(|sensitivity| MotionDetection { sensitivity, ..MotionDetection::default() }),
        ..source::camera(&args.name, source)
    };
    let request = AddCameraRequest { camera: Some(camera) };
    args.relay.connect().await?.add_camera(request).await.map_err(|status| refused(&status))?;
    let name = &args.name;
    Ok(cli::print(&format!("{name} is added; `patchbay camera probe {name}` says whether it works"))?)
}

fn overlay(text: &str) -> anyhow::Result<Overlay> {
    let (corner, zone) = text.split_once(',').unwrap_or((text, ""));
    let corner = match corner {
        "top-left" => Corner::Unspecified,
        "top-right" => Corner::TopRight,
        "bottom-left" => Corner::BottomLeft,
        "bottom-right" => Corner::BottomRight,
        other => bail!("`{other}` is no corner: write top-left, top-right, bottom-left or bottom-right"),
    };
    if !zone.is_empty() {
        jiff::tz::TimeZone::get(zone)
            .with_context(|| format!("`{zone}` is no time zone such as Europe/Berlin"))?;
    }
    Ok(Overlay { corner: corner.into(), time_zone: zone.to_owned(), title: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_may_have_a_zone() {
        let made = overlay("bottom-right,Europe/Berlin").unwrap();
        assert_eq!((made.corner(), made.time_zone.as_str()), (Corner::BottomRight, "Europe/Berlin"));
        assert_eq!(overlay("top-left").unwrap(), Overlay::default());
        for wrong in ["", "middle", "top-left,Mars/Phobos"] {
            assert!(overlay(wrong).is_err(), "{wrong}");
        }
    }
}
