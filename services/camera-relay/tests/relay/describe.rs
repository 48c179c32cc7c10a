//! From an ONVIF device to its streams, and on to a picture: what it tells, what is wrong with it, and how much is asked at once.

use super::world::{World, add, fields, reason, with};
use anyhow::Result;
use patchbay_chassis::config::Layer;
use patchbay_proto::camera::v1::{self as pb, camera::Source};
use patchbay_testkit::{
    onvif::OnvifDevice, ports::free_address, rtsp::gstreamer::GstCamera, wait::wait_until,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};
use tonic::Status;

const SECRET: &str = "S3cret-of-the-eye";

struct Setting {
    world: World,
    token: String,
    folder: TempDir,
}

impl Setting {
    async fn start() -> Result<Self> {
        let folder = tempdir()?;
        let open = |name: &str, flags: Layer| {
            flags.set(&format!("{name}.cameras.egress.allow"), vec!["127.0.0.0/8"])
        };
        let world = World::start_with(folder.path(), &open).await?;
        let token = world.token(&["media:write:*", "media:view:*"])?;
        Ok(Self { world, token, folder })
    }

    async fn device(&self, options: &[&str]) -> Result<OnvifDevice> {
        OnvifDevice::start(self.folder.path(), options).await
    }

    async fn describe(
        &mut self,
        request: pb::DescribeDeviceRequest,
    ) -> Result<pb::DescribeDeviceResponse, Status> {
        let answer = self.world.one.client.describe_device(with(&self.token, request)).await?;
        Ok(answer.into_inner())
    }

    /// What is wrong: the reason, and words that must be there.
    #[expect(clippy::print_stdout, reason = "a test tells what was found")]
    async fn fails(&mut self, request: pb::DescribeDeviceRequest, expected: (&str, &str)) -> Result<()> {
        let (reason, words) = expected;
        let begun = Instant::now();
        let told = self.describe(request).await?;
        println!("{} after {:?}: {}", told.reason, begun.elapsed(), told.detail);
        assert_eq!((told.ok, told.reason.as_str()), (false, reason), "{told:?}");
        assert!(told.detail.contains(words) && !format!("{told:?}").contains(SECRET), "{words}: {told:?}");
        Ok(())
    }
}

fn at(address: SocketAddr) -> pb::DescribeDeviceRequest {
    pb::DescribeDeviceRequest { address: address.to_string(), ..pb::DescribeDeviceRequest::default() }
}

fn login(password: &str) -> pb::Login {
    pb::Login { username: "admin".into(), password: password.into(), has_password: false }
}

/// With the right login.
fn inside(address: SocketAddr) -> pb::DescribeDeviceRequest {
    pb::DescribeDeviceRequest { login: Some(login(SECRET)), ..at(address) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_tells_its_streams_and_one_of_them_becomes_a_picture() -> Result<()> {
    let mut setting = Setting::start().await?;
    let locks = ["--auth", "digest", "--user", "admin", "--password", SECRET];
    let camera = GstCamera::start(setting.folder.path(), &locks).await?;
    let url = format!("rtsp://{}/live", camera.address());
    let door = ["--auth", "wsse", "--password", SECRET, "--rtsp", &url];
    let device = setting.device(&[&door[..], &["--others", "rtsp://10.1.2.3/sub?a=1&b=2"]].concat()).await?;
    let told = setting.describe(inside(device.address())).await?;
    println!("{told:#?}\n{:?}", device.asked());
    assert!(told.ok && told.reason.is_empty(), "{told:?}");
    assert_eq!((told.maker.as_str(), told.model.as_str()), ("Patchbay", "Test Eye 3"));
    let expected = pb::DeviceStream {
        token: "P&0".into(),
        name: "Main".into(),
        codec: "H264".into(),
        width: 1920,
        height: 1080,
        fps: 25.0,
        bitrate: 1_920_000,
        url: url.clone(),
        ..pb::DeviceStream::default()
    };
    let [main, sub] = &*told.streams else { panic!("{told:?}") };
    assert_eq!(*main, expected);
    // Where it may not be reached, it is asked at the host that answered.
    assert_eq!(sub.url, "rtsp://127.0.0.1/sub?a=1&b=2");
    assert!(sub.note_code == "HOST_REPLACED" && sub.note.contains("calls itself 10.1.2.3"), "{sub:?}");

    let source =
        pb::RtspSource { url: main.url.clone(), login: Some(login(SECRET)), ..pb::RtspSource::default() };
    let new = pb::Camera { name: "eye".into(), source: Some(Source::Rtsp(source)), ..pb::Camera::default() };
    add(&mut setting.world.one, &setting.token, new).await?;
    let request = with(&setting.token, pb::GetSnapshotRequest { name: "eye".into(), width: 0 });
    let picture = setting.world.one.client.get_snapshot(request).await?.into_inner();
    assert_eq!((picture.width, picture.height), (320, 240));
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_all_kinds_are_understood() -> Result<()> {
    let mut setting = Setting::start().await?;
    for options in [
        &["--auth", "none"][..],
        // A wrong clock, before and behind.
        &["--auth", "wsse", "--ahead", "86400"],
        &["--auth", "wsse", "--ahead", "-700000000"],
        &["--auth", "http-digest"],
        &["--auth", "wsse", "--media", "2"],
        &["--auth", "wsse", "--media", "12"],
        &["--auth", "wsse", "--old"],
        // Behind a port mapping it does not know how it is reached.
        &["--auth", "wsse", "--calls-itself", "192.168.1.64"],
    ] {
        let device = setting.device(&[options, &["--password", SECRET]].concat()).await?;
        let told = setting.describe(inside(device.address())).await?;
        let urls: Vec<_> = told.streams.iter().map(|stream| stream.url.as_str()).collect();
        assert!(told.ok, "{options:?}: {told:?}");
        assert_eq!(urls, ["rtsp://127.0.0.1:554/live"; 2], "{options:?}: {told:?}");
        assert!(told.streams.iter().all(|stream| stream.bitrate > 0 && stream.fps > 0.0), "{told:?}");
        println!("{options:?}: {} questions", device.asked().len());
    }
    // A profile without an address does not hide the others.
    let device = setting.device(&["--refuses", "0", "--profiles", "100"]).await?;
    let told = setting.describe(at(device.address())).await?;
    let [first, second, ..] = &*told.streams else { panic!("{told:?}") };
    assert!(told.ok && first.url.is_empty() && first.note_code == "REFUSED", "{first:?}");
    assert!(first.note.contains("its encoder is off"), "{first:?}");
    assert!(!second.url.is_empty() && told.streams.len() == 64, "{}", told.streams.len());
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_are_wrong_are_told_and_tried_once() -> Result<()> {
    let mut setting = Setting::start().await?;
    for (auth, refused) in [("wsse", "GetServices refused"), ("http-digest", "GetSystemDateAndTime refused")]
    {
        let device = setting.device(&["--auth", auth, "--password", SECRET]).await?;
        let wrong = pb::DescribeDeviceRequest { login: Some(login("wrong")), ..at(device.address()) };
        setting.fails(at(device.address()), ("UNAUTHORIZED", "asks for a login")).await?;
        setting.fails(wrong, ("UNAUTHORIZED", "does not accept the user or the password")).await?;
        let asked = device.asked();
        assert!(asked.iter().any(|question| question == refused), "{asked:?}");
        // Devices lock out who tries on.
        assert!(!asked.iter().any(|question| question.starts_with("GetProfiles")), "{asked:?}");
    }
    let basic = setting.device(&["--auth", "http-basic", "--password", SECRET]).await?;
    setting.fails(inside(basic.address()), ("UNAUTHORIZED", "could be read on the way")).await?;
    assert!(basic.asked().iter().all(|question| question.ends_with(" asked")), "{:?}", basic.asked());
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_device_is_told_and_hostile_ones_end_soon() -> Result<()> {
    let mut setting = Setting::start().await?;
    for (wrong, expected) in [
        ("missing", ("NOT_FOUND", "does not speak ONVIF")),
        ("html", ("PROTOCOL", "answers 200 and does not speak ONVIF")),
        ("words", ("PROTOCOL", "answers 200 and does not speak ONVIF")),
        ("entity", ("PROTOCOL", "answers 200 and does not speak ONVIF")),
        ("deep", ("PROTOCOL", "it is too large")),
        ("many", ("PROTOCOL", "it is too large")),
        ("huge", ("PROTOCOL", "more than 2097152 bytes")),
        ("cut", ("PROTOCOL", "it cannot be read")),
        ("other", ("PROTOCOL", "it is not what was asked for")),
    ] {
        let device = setting.device(&["--goes-wrong", wrong]).await?;
        setting.fails(at(device.address()), expected).await?;
    }
    let timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let silent = setting.device(&["--goes-wrong", "silent"]).await?;
    let request = pb::DescribeDeviceRequest { timeout, ..at(silent.address()) };
    setting.fails(request, ("TIMED_OUT", "within 2 s")).await?;
    let blind = setting.device(&["--media", "none"]).await?;
    setting.fails(at(blind.address()), ("NO_TRACKS", "no media service")).await?;
    let empty = setting.device(&["--profiles", "0"]).await?;
    setting.fails(at(empty.address()), ("NO_TRACKS", "no stream")).await?;
    setting.fails(at(free_address()), ("REFUSED", "nobody listens")).await?;
    let elsewhere = pb::DescribeDeviceRequest { address: "http://10.1.2.3/".into(), ..at(empty.address()) };
    setting.fails(elsewhere, ("FORBIDDEN", "`cameras.egress.allow`")).await?;
    setting.world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_checked_and_few_are_under_way() -> Result<()> {
    let mut setting = Setting::start().await?;
    let usual = at(free_address());
    let long = Some(pb::Login { password: "x".repeat(1025), ..pb::Login::default() });
    let hour = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    for (field, request) in [
        ("address", pb::DescribeDeviceRequest { address: String::new(), ..usual.clone() }),
        ("address", pb::DescribeDeviceRequest { address: "rtsp://camera/".into(), ..usual.clone() }),
        ("login", pb::DescribeDeviceRequest { login: long, ..usual.clone() }),
        ("timeout", pb::DescribeDeviceRequest { timeout: hour, ..usual.clone() }),
        (
            "certificate_fingerprint",
            pb::DescribeDeviceRequest { certificate_fingerprint: "x".into(), ..usual.clone() },
        ),
    ] {
        assert_eq!(fields(setting.describe(request).await), [field]);
    }
    let silent = setting.device(&["--goes-wrong", "silent"]).await?;
    let request = || {
        let (mut client, token) = (setting.world.one.client.clone(), setting.token.clone());
        let timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
        let request = pb::DescribeDeviceRequest { timeout, ..at(silent.address()) };
        async move { client.describe_device(with(&token, request)).await }
    };
    // As many as there are places for probes, and one more.
    let mut all: Vec<_> = futures_util::future::join_all((0..5).map(|_| request())).await;
    all.sort_by_key(Result::is_err);
    assert_eq!(reason(all.pop().unwrap()), "BUSY");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    // Whoever goes leaves his place.
    for _ in 0..4 {
        let left = tokio::time::timeout(Duration::from_millis(100), request()).await;
        assert!(left.is_err(), "{left:?}");
    }
    let free = async || request().await.is_ok();
    let took = wait_until("there is a place again", Duration::from_secs(10), free).await?;
    println!("there was a place after {took:?}");
    setting.world.stop().await
}
