//! `patchbay camera` against a running camera-relay and a real RTSP camera.

use anyhow::{Context, Result, ensure};
use patchbay_testkit::{
    onvif::OnvifDevice,
    ports::free_address,
    process::{Launch, Process},
    rtsp::gstreamer::GstCamera,
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

const SECRET: &str = "S3cret-of-the-door";

struct Suite {
    process: Process,
    url: String,
    folder: TempDir,
}

/// What a command has said.
struct Said {
    code: Option<i32>,
    out: Vec<u8>,
    text: String,
    problem: String,
}

impl Suite {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (ops, grpc) = (free_address(), free_address());
        let launch = Launch::program(env!("CARGO_BIN_EXE_patchbay"), "patchbay", folder.path())
            .env("PATCHBAY_DATA__DIR", folder.path().join("data"))
            .env("PATCHBAY_OPS__LISTEN", ops.to_string())
            .env("PATCHBAY_CAMERA_RELAY__GRPC__LISTEN", grpc.to_string())
            .env("PATCHBAY_CAMERA_RELAY__LISTEN__HTTP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__UDP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__TCP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__CAMERAS__EGRESS__ALLOW", r#"["127.0.0.0/8"]"#);
        let launch = launch.arg("run").arg("--services").arg("camera-relay").arg("--dev");
        let process = launch.start_ready(ops).await?;
        Ok(Self { process, url: format!("http://{grpc}"), folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn camera(&self, arguments: &[&str]) -> Result<Said> {
        self.camera_with(arguments, "")
    }

    fn camera_with(&self, arguments: &[&str], input: &str) -> Result<Said> {
        run(self.folder.path(), &[arguments, &["--url", &self.url]].concat(), input)
    }

    /// What one that goes well has said.
    fn well(&self, arguments: &[&str]) -> Result<String> {
        let said = self.camera(arguments)?;
        ensure!(said.code == Some(0), "{arguments:?}: {} {}", said.text, said.problem);
        Ok(said.text)
    }
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Result<Said> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    let command = command.current_dir(folder).arg("camera").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // One that does not read its input may have ended.
    drop(child.stdin.take().context("no standard input")?.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8(output.stderr)?;
    Ok(Said { code: output.status.code(), out: output.stdout, text, problem })
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_probed_added_shown_seen_and_removed() -> Result<()> {
    let suite = Suite::start().await?;
    let login = ["--auth", "digest", "--user", "admin", "--password", SECRET];
    let camera = GstCamera::start(suite.folder.path(), &login).await?;
    let address = format!("rtsp://{}/live", camera.address());

    let refused = suite.camera(&["probe", &address])?;
    println!("{}{}", refused.text, refused.problem);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.problem.contains("asks for a login") && refused.problem.contains("UNAUTHORIZED"),
        "{}",
        refused.problem
    );

    let with_login = [address.as_str(), "--username", "admin", "--password-stdin"];
    let probe = [&["probe"], &with_login[..], &["--picture", "first.jpg"]].concat();
    let probed = suite.camera_with(&probe, &format!("{SECRET}\n"))?;
    println!("{}", probed.text);
    assert_eq!(probed.code, Some(0), "{}", probed.problem);
    for words in ["ok      connect", "ok      pictures", "H264 320x240 (H.264 ", "goes to browsers as it is"]
    {
        assert!(probed.text.contains(words), "{words}: {}", probed.text);
    }
    assert!(is_jpeg(&fs::read(suite.path("first.jpg"))?));

    let add = [
        &["add", "door"],
        &with_login[..],
        &["--title", "Front door", "--overlay", "top-right,Europe/Berlin"],
    ]
    .concat();
    let added = suite.camera_with(&add, &format!("{SECRET}\n"))?;
    assert_eq!((added.code, added.text.starts_with("door is added")), (Some(0), true), "{}", added.problem);
    // By its name, with the password that is kept.
    let known: serde_json::Value = serde_json::from_str(&suite.well(&["probe", "door", "--json"])?)?;
    assert_eq!((&known["ok"], &known["tracks"][0]["codec"]), (&true.into(), &"H264".into()), "{known}");

    let (listed, shown) = (suite.well(&["list"])?, suite.well(&["show", "door"])?);
    println!("{listed}{shown}");
    assert!(listed.contains("door") && listed.contains("rtsp") && listed.contains("test"), "{listed}");
    assert!(
        shown.contains("Front door") && shown.contains("as admin") && shown.contains("a clock"),
        "{shown}"
    );

    suite.well(&["snapshot", "test", "--out", "test.jpg", "--width", "320"])?;
    assert!(is_jpeg(&fs::read(suite.path("test.jpg"))?));
    assert!(is_jpeg(&suite.camera(&["snapshot", "test", "-o", "-"])?.out));

    assert_eq!(suite.well(&["remove", "door"])?, "door is removed\n");
    let gone = suite.camera(&["show", "door"])?;
    assert!(gone.code == Some(1) && gone.problem.contains("NOT_FOUND"), "{}", gone.problem);
    for said in [&refused, &probed, &added] {
        assert!(!said.text.contains(SECRET) && !said.problem.contains(SECRET));
    }
    assert!(!shown.contains(SECRET) && !suite.process.log().contains(SECRET));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_onvif_tells_its_streams() -> Result<()> {
    let suite = Suite::start().await?;
    let device = OnvifDevice::start(suite.folder.path(), &["--auth", "wsse", "--password", SECRET]).await?;
    let address = device.address().to_string();
    let ask = ["streams", &address, "--username", "admin", "--password-stdin"];
    let told = suite.camera_with(&ask, &format!("{SECRET}\n"))?;
    println!("{}", told.text);
    assert_eq!(told.code, Some(0), "{}", told.problem);
    assert!(told.text.starts_with("Patchbay Test Eye 3\nMain  H264 1920x1080, 25 a second, 1920 kbit/s\n"));
    assert!(told.text.contains("rtsp://127.0.0.1:554/live"), "{}", told.text);
    let json = suite.camera_with(&[&ask[..], &["--json"]].concat(), &format!("{SECRET}\n"))?;
    let json: serde_json::Value = serde_json::from_str(&json.text)?;
    assert_eq!(json["streams"][1]["token"], "P&1", "{json}");

    let refused = suite.camera_with(&ask, "wrong\n")?;
    assert!(refused.code == Some(1) && refused.problem.contains("UNAUTHORIZED"), "{}", refused.problem);
    let odd = suite.camera(&["streams", "rtsp://camera/"])?;
    assert!(odd.code == Some(1) && odd.problem.contains("`address`"), "{}", odd.problem);
    assert!(!suite.process.log().contains(SECRET));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do() -> Result<()> {
    let suite = Suite::start().await?;
    let nobody = format!("rtsp://{}/live", free_address());
    for (arguments, words) in [
        (&["probe", "rtsp://camera.invalid/live"][..], "NAME_NOT_FOUND"),
        (&["probe", "rtsp://192.168.77.1/live"], "`cameras.egress.allow`"),
        (&["probe", &nobody], "nobody listens"),
        (&["probe", "nothing"], "an address begins with rtsp://"),
        (&["add", "a/b", "--test"], "camera.name"),
        (&["add", "door", "--file", "clip.mp4"], "camera.file.path"),
        (&["add", "door", "--device", "/dev/video0"], "cameras.devices"),
        (&["add", "door", "ftp://camera/"], "not with ftp://"),
        (&["add", "door", "rtsp://camera/", "--username", "admin"], "--password-stdin"),
        (&["add", "door", "--test", "--transport", "tcp"], "go with an ADDRESS"),
        (&["remove", "test"], "CONFIGURED"),
    ] {
        let said = suite.camera(arguments)?;
        println!("{arguments:?}: {}", said.problem.trim_end());
        assert_eq!(said.code, Some(1), "{arguments:?}");
        assert!(said.problem.contains(words), "{arguments:?}: {}", said.problem);
    }
    let within = suite.camera(&["probe", &format!("rtsp://admin:{SECRET}@192.168.77.1/live")])?;
    assert!(within.problem.starts_with("warning: a password in an address"), "{}", within.problem);
    assert!(!within.problem.contains(SECRET) && !within.text.contains(SECRET));
    let found = suite.well(&["discover", "--timeout", "1"])?;
    println!("{found}");
    suite.well(&["add", "yard", "--test", "--always-on", "--motion=70"])?;
    assert!(suite.well(&["show", "yard"])?.contains("captured always"));
    Ok(())
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for arguments in [
        &["add", "door"][..],
        &["add", "door", "rtsp://camera/", "--test"],
        &["add", "door", "--test", "--overlay", "middle"],
        &["add", "door", "--test", "--password", "x"],
        &["probe"],
        &["probe", "--test", "--timeout", "61"],
        &["streams"],
        &["streams", "camera", "--timeout", "30"],
    ] {
        let said = run(folder.path(), arguments, "")?;
        assert_eq!(said.code, Some(64), "{arguments:?}: {}", said.problem);
    }
    let nobody = run(folder.path(), &["list"], "")?;
    assert!(nobody.code == Some(1) && nobody.problem.contains("--data"), "{}", nobody.problem);
    Ok(())
}
