//! `patchbay camera streams`.

use super::{
    RelayArgs, refused, source,
    words::{harmless, kbit},
};
use anyhow::bail;
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{DescribeDeviceRequest, DescribeDeviceResponse, DeviceStream};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args)]
#[command(after_help = "Exit code 1 when the camera has told no stream.")]
pub(crate) struct StreamsArgs {
    /// The camera as `patchbay camera discover` tells it, or its host, perhaps with the port of ONVIF.
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// User of ONVIF; its password is asked for, unless --password-stdin is given.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Reads the password from standard input.
    #[arg(long)]
    password_stdin: bool,
    /// With https://, SHA-256 of the camera's certificate; only that one is believed then.
    #[arg(long, value_name = "HEX", default_value = "")]
    fingerprint: String,
    /// Seconds that it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=29))]
    timeout: u32,
    /// Writes JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) async fn run(args: StreamsArgs) -> anyhow::Result<()> {
    let login = source::login(args.username, args.password_stdin)?;
    let mut client = args.relay.connect_for(Duration::from_secs(args.timeout.into())).await?;
    let request = DescribeDeviceRequest {
        address: args.address,
        login,
        timeout: Some(prost_types::Duration { seconds: args.timeout.into(), nanos: 0 }),
        certificate_fingerprint: args.fingerprint,
    };
    let told = client.describe_device(request).await.map_err(|status| refused(&status))?.into_inner();
    let text = if args.json { format!("{:#}", in_json(&told)) } else { in_words(&told) };
    // Line by line: the ends of lines are ours.
    cli::print(&text.lines().map(harmless).collect::<Vec<_>>().join("\n"))?;
    if told.ok { Ok(()) } else { bail!("{} ({})", harmless(&told.detail), told.reason) }
}

fn in_words(told: &DescribeDeviceResponse) -> String {
    let named = format!("{} {}", told.maker, told.model);
    let first = Some(named.trim().to_owned()).filter(|named| !named.is_empty());
    first.into_iter().chain(told.streams.iter().map(lines)).collect::<Vec<_>>().join("\n")
}

/// `Main  H264 1920x1080, 25 a second, 4096 kbit/s`, and below it the address and what is to be known of that.
fn lines(stream: &DeviceStream) -> String {
    let name = if stream.name.is_empty() { &stream.token } else { &stream.name };
    let size = (stream.width > 0).then(|| format!("{}x{}", stream.width, stream.height));
    let codec = Some(stream.codec.clone()).filter(|codec| !codec.is_empty());
    let what: Vec<_> = codec.into_iter().chain(size).collect();
    let figures = [
        Some(what.join(" ")).filter(|what| !what.is_empty()),
        (stream.fps > 0.0).then(|| format!("{} a second", stream.fps)),
        (stream.bitrate > 0).then(|| kbit(stream.bitrate)),
    ];
    let figures: Vec<_> = figures.into_iter().flatten().collect();
    let below = [&stream.url, &stream.note].into_iter().filter(|line| !line.is_empty());
    let below = below.map(|line| format!("        {line}"));
    let first = format!("{name}  {}", figures.join(", "));
    std::iter::once(first.trim_end().to_owned()).chain(below).collect::<Vec<_>>().join("\n")
}

/// Fields as in the REST interface.
fn in_json(told: &DescribeDeviceResponse) -> Value {
    let streams = told.streams.iter().map(|stream| {
        json!({
            "token": stream.token,
            "name": stream.name,
            "codec": stream.codec,
            "width": stream.width,
            "height": stream.height,
            "fps": stream.fps,
            "bitrate": stream.bitrate,
            "url": stream.url,
            "note": stream.note,
            "noteCode": stream.note_code,
        })
    });
    json!({
        "ok": told.ok,
        "reason": told.reason,
        "detail": told.detail,
        "maker": told.maker,
        "model": told.model,
        "streams": streams.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_those_of_other_commands() {
        let stream = DeviceStream { note_code: "REFUSED".to_owned(), ..DeviceStream::default() };
        let told = DescribeDeviceResponse { streams: vec![stream], ..DescribeDeviceResponse::default() };
        assert_eq!(in_json(&told)["streams"][0]["noteCode"], "REFUSED");
    }

    #[test]
    fn a_stream_is_told_by_what_is_known_of_it() {
        let whole = DeviceStream {
            token: "P1".to_owned(),
            name: "Main".to_owned(),
            codec: "H264".to_owned(),
            width: 1920,
            height: 1080,
            fps: 12.5,
            bitrate: 4_096_000,
            url: "rtsp://camera/1".to_owned(),
            ..DeviceStream::default()
        };
        let expected = "Main  H264 1920x1080, 12.5 a second, 4096 kbit/s\n        rtsp://camera/1";
        assert_eq!(lines(&whole), expected);
        let bare =
            DeviceStream { token: "P2".to_owned(), note: "no address".to_owned(), ..DeviceStream::default() };
        assert_eq!(lines(&bare), "P2\n        no address");
    }
}
