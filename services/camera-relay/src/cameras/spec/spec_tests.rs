use super::*;
use patchbay_chassis::Span;

fn fields(source: SourceSpec) -> Vec<&'static str> {
    CameraSpec::of(source).violations().into_iter().map(|violation| violation.field).collect()
}

fn rtsp(url: &str) -> RtspSpec {
    RtspSpec { url: Address::split(url).0, ..RtspSpec::default() }
}

#[test]
fn the_default_is_good_and_every_bound_holds() {
    assert_eq!(fields(SourceSpec::Test(TestSpec::default())), [""; 0]);
    let wrong = TestSpec {
        width: 159,
        height: 1082,
        fps: 0,
        bitrate: 1,
        noise: 101,
        key_frame_interval: Span::seconds(61),
        silent: true,
        ignore_key_frame_requests: true,
    };
    let expected = [
        "test.width",
        "test.height",
        "test.fps",
        "test.bitrate",
        "test.noise",
        "test.width",
        "test.key_frame_interval",
    ];
    assert_eq!(fields(SourceSpec::Test(wrong)), expected);
}

#[test]
fn paths_stay_below_the_folder() {
    let path = |path: &str| fields(SourceSpec::File(FileSpec { path: path.into() }));
    for good in ["easy.mp4", "a/b c.mkv", "..x/y...mp4", "中文.mp4"] {
        assert!(path(good).is_empty(), "{good}");
    }
    for bad in
        ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a\nb", &"x".repeat(1025)]
    {
        assert_eq!(path(bad), ["file.path"], "{bad:?}");
    }
}

#[test]
fn titles_are_bounded_in_characters() {
    let spec = |title: String| CameraSpec { title, ..CameraSpec::of(SourceSpec::Test(TestSpec::default())) };
    assert!(spec("门".repeat(128)).violations().is_empty());
    assert_eq!(spec("门".repeat(129)).violations()[0].field, "title");
    assert_eq!(spec("a\u{7}".into()).violations()[0].field, "title");
}

#[test]
fn what_is_kept_comes_back() {
    let source = SourceSpec::File(FileSpec { path: "a.mp4".into() });
    let spec = CameraSpec { title: "Door".into(), capture: Capture::Always, ..CameraSpec::of(source) };
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(json, r#"{"title":"Door","source":{"file":{"path":"a.mp4"}},"capture":"always"}"#);
    assert_eq!(serde_json::from_str::<CameraSpec>(&json).unwrap(), spec);
}

#[test]
fn addresses_have_the_schemes_of_their_kind_and_a_host() {
    for good in ["rtsp://10.0.0.7/a", "rtsps://camera.example:322/", "rtsp://[fd00::7]:8554/x?y=z"] {
        assert!(fields(SourceSpec::Rtsp(rtsp(good))).is_empty(), "{good}");
    }
    for bad in ["", "camera", "http://a/", "rtsp://", "rtsp:///a", "rtsp://a:0/", "file:///etc/passwd"] {
        assert_eq!(fields(SourceSpec::Rtsp(rtsp(bad))), ["rtsp.url"], "{bad}");
    }
    let long = format!("rtsp://a/{}", "x".repeat(2048));
    assert_eq!(fields(SourceSpec::Rtsp(rtsp(&long))), ["rtsp.url"]);
    let udp = RtspSpec { transport: RtspTransportSpec::Udp, ..rtsp("rtsps://a/") };
    assert_eq!(fields(SourceSpec::Rtsp(udp)), ["rtsp.transport"]);
}

#[test]
fn a_login_leaves_the_address_and_secrets_of_the_query_are_not_shown() {
    let (address, login) = Address::split("rtsp://ad%40min:p%3Aw@10.0.0.7:554/a?x=1");
    assert_eq!(login, Some(("ad@min".to_owned(), "p:w".to_owned())));
    assert_eq!(address.shown(), "rtsp://10.0.0.7:554/a?x=1");
    let (address, _) = Address::split("http://h/c?user=u&Access_Token=abc&pwd=p&channel=1&monkey=2");
    assert_eq!(address.shown(), "http://h/c?user=u&Access_Token=***&pwd=***&channel=1&monkey=2");
    assert_eq!(format!("{address:?}"), address.shown());
    assert_eq!(fields(SourceSpec::Rtsp(rtsp("rtsp://h/a?password=***"))), ["rtsp.url"]);
    assert_eq!(fields(SourceSpec::Rtsp(rtsp("rtsp://h/a?password=***&token=t"))), ["rtsp.url"]);
    // Some cameras take the login in the path.
    let (address, _) =
        Address::split("rtsp://h:554/user=admin_password=tl_Jw_channel=1_stream=0.sdp?real_stream");
    assert_eq!(address.shown(), "rtsp://h:554/user=admin_password=***_channel=1_stream=0.sdp?real_stream");
    assert!(fields(SourceSpec::Rtsp(RtspSpec { url: address, ..RtspSpec::default() })).is_empty());
    // Others have a `;` between them.
    for (text, shown) in [
        ("rtsp://h/a?user=u;password=p;channel=1", "rtsp://h/a?user=u;password=***;channel=1"),
        ("rtsp://h/a?password=p;w&channel=1", "rtsp://h/a?password=***;channel=1"),
        ("rtsp://h/user=u;password=p;w;channel=1", "rtsp://h/user=u;password=***;channel=1"),
    ] {
        assert_eq!(Address::split(text).0.shown(), shown, "{text}");
    }
    // A `#` in a password ends the host, and what follows would be shown.
    assert_eq!(fields(SourceSpec::Rtsp(rtsp("rtsp://admin:12#s3cret@h/a"))), ["rtsp.url"]);
    // Nothing takes the login out of an address of the configuration.
    let configured =
        RtspSpec { url: Address::from("rtsp://admin:s3cret@h/a".to_owned()), ..RtspSpec::default() };
    assert_eq!(fields(SourceSpec::Rtsp(configured)), ["rtsp.url"]);
    let opencv = |input: &str| fields(SourceSpec::OpenCv(OpenCvSpec { input: input.to_owned() }));
    assert!(opencv("rtsp://h/a?channel=1").is_empty());
    assert_eq!(opencv("http://h/a?password=s3cret"), ["opencv.input"]);
}

#[test]
fn logins_and_fingerprints_are_bounded() {
    let login = |login| fields(SourceSpec::Rtsp(RtspSpec { login: Some(login), ..rtsp("rtsp://a/") }));
    let named = LoginSpec { username: "a".into(), ..LoginSpec::default() };
    assert!(login(named.clone()).is_empty());
    assert_eq!(login(LoginSpec::default()), ["rtsp.login"]);
    assert_eq!(login(LoginSpec { username: "x".repeat(257), ..LoginSpec::default() }), ["rtsp.login"]);
    assert_eq!(login(LoginSpec { username: "a\r\nb".into(), ..LoginSpec::default() }), ["rtsp.login"]);
    let two = LoginSpec { sealed: Some("x".into()), password_file: Some("y".into()), ..named };
    assert_eq!(login(two), ["rtsp.login"]);
    let pinned = |text: &str| {
        let certificate_fingerprint = Some(text.to_owned());
        fields(SourceSpec::Rtsp(RtspSpec { certificate_fingerprint, ..rtsp("rtsps://a/") }))
    };
    assert!(pinned(&"ab".repeat(32)).is_empty() && pinned(&["AB"; 32].join(":")).is_empty());
    assert_eq!(pinned("ab"), ["rtsp.certificate_fingerprint"]);
}

#[test]
fn devices_are_video_devices() {
    let device = |path: &str| {
        fields(SourceSpec::Device(DeviceSpec { path: path.to_owned(), ..DeviceSpec::default() }))
    };
    assert!(device("/dev/video0").is_empty() && device("/dev/video12").is_empty());
    for bad in ["", "/dev/sda", "/dev/video", "/dev/video0/../sda", "/dev/videoX", "video0"] {
        assert_eq!(device(bad), ["device.path"], "{bad}");
    }
}

#[test]
fn polygons_lie_in_the_picture() {
    let point = |x, y| PointSpec { x, y };
    let mask = |points: Vec<PointSpec>| {
        let processing = ProcessingSpec {
            masks: vec![MaskSpec { points, style: MaskStyleSpec::Black }],
            ..ProcessingSpec::default()
        };
        let spec = CameraSpec {
            processing: Some(processing),
            ..CameraSpec::of(SourceSpec::Test(TestSpec::default()))
        };
        spec.violations().len()
    };
    assert_eq!(mask(vec![point(0.0, 0.0), point(1.0, 0.0), point(0.5, 1.0)]), 0);
    assert_eq!(mask(vec![point(0.0, 0.0), point(1.0, 0.0)]), 1);
    assert_eq!(mask(vec![point(0.0, 0.0), point(1.1, 0.0), point(0.5, 1.0)]), 1);
    assert_eq!(mask(vec![point(0.1, 0.1), point(0.5, 0.5), point(0.9, 0.9)]), 1, "a line covers nothing");
    assert_eq!(mask(vec![point(0.5, 0.5); 3]), 1);
    assert_eq!(mask(vec![point(0.0, 0.0), point(1.0, 1.0), point(1.0, 0.0), point(0.0, 1.0)]), 0, "a bow");
    assert_eq!(mask(vec![point(0.0, 0.0), point(f64::NAN, 0.0), point(0.5, 1.0)]), 1);
}

#[test]
fn however_much_is_wrong_the_answer_is_small() {
    let zone = ZoneSpec { name: "x".repeat(10_000), points: Vec::new(), sensitivity: 101 };
    let motion = MotionSpec { zones: vec![zone; 1000], ..MotionSpec::default() };
    let mask = MaskSpec { points: Vec::new(), style: MaskStyleSpec::Black };
    let processing = ProcessingSpec { masks: vec![mask; 1000], ..ProcessingSpec::default() };
    let spec = CameraSpec {
        processing: Some(processing),
        motion: Some(motion),
        ..CameraSpec::of(SourceSpec::Test(TestSpec::default()))
    };
    let found = spec.violations();
    let bytes: usize = found.iter().map(|violation| violation.field.len() + violation.problem.len()).sum();
    assert!(found.len() > 2 && bytes < 8192, "{} violations of {bytes} bytes", found.len());
}

#[test]
fn a_camera_that_looks_for_motion_is_always_captured() {
    let spec = CameraSpec::of(SourceSpec::Test(TestSpec::default()));
    assert_eq!(spec.captured(), Capture::OnDemand);
    let spec = CameraSpec { motion: Some(MotionSpec::default()), ..spec };
    assert_eq!(spec.captured(), Capture::Always);
    assert!(spec.violations().is_empty());
    let zone = ZoneSpec { name: String::new(), points: Vec::new(), sensitivity: 101 };
    let motion = MotionSpec { zones: vec![zone], sensitivity: 0, hold: Span::seconds(0) };
    let spec = CameraSpec { motion: Some(motion), ..spec };
    assert_eq!(spec.violations().len(), 5);
}
