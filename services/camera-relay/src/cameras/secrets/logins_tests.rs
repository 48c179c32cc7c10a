use super::{super::secrets, *};
use crate::cameras::{Address, RtspSpec, SourceSpec};

fn camera(url: &str, login: LoginSpec) -> CameraSpec {
    let (url, _) = Address::split(url);
    CameraSpec::of(SourceSpec::Rtsp(RtspSpec { url, login: Some(login), ..RtspSpec::default() }))
}

fn given(password: &str) -> LoginSpec {
    let given = Some(ClearPassword::new(password.to_owned()));
    LoginSpec { username: "admin".to_owned(), given, ..LoginSpec::default() }
}

fn kept() -> LoginSpec {
    LoginSpec { username: "admin".to_owned(), keep: true, ..LoginSpec::default() }
}

fn door() -> CameraName {
    "door".parse().unwrap()
}

#[test]
fn a_password_is_kept_sealed_for_one_camera_and_comes_back() {
    let mut spec = camera("rtsp://10.0.0.7/a", given("s3cret"));
    secrets(7).seal_login(&door(), &mut spec, None).unwrap();
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("s3cret") && json.contains("sealed"), "{json}");
    let read: CameraSpec = serde_json::from_str(&json).unwrap();
    assert_eq!(read, spec);
    let login = read.source.login().unwrap();
    let (name, password) = secrets(7).login(&door(), login).unwrap();
    assert_eq!((name.as_str(), password.expose()), ("admin", "s3cret"));
    let other = secrets(7).login(&"other".parse().unwrap(), login).unwrap_err();
    assert_eq!(other.reason(), Reason::Unauthorized);
    assert!(!format!("{read:?}").contains("s3cret"));
}

#[test]
fn the_same_camera_is_sealed_to_the_same() {
    let sealed = || {
        let mut spec = camera("rtsp://10.0.0.7/a", given("s3cret"));
        secrets(7).seal_login(&door(), &mut spec, None).unwrap();
        spec
    };
    assert_eq!(sealed(), sealed());
}

#[test]
fn a_kept_password_goes_to_the_place_for_which_it_was_given() {
    let mut before = camera("rtsp://10.0.0.7/a", given("s3cret"));
    secrets(7).seal_login(&door(), &mut before, None).unwrap();
    let mut other_path = camera("rtsp://10.0.0.7/b", kept());
    secrets(7).seal_login(&door(), &mut other_path, Some(&before)).unwrap();
    assert_eq!(other_path.source.login(), before.source.login());
    for elsewhere in ["rtsp://10.0.0.8/a", "rtsps://10.0.0.7/a", "rtsp://10.0.0.7:8554/a"] {
        let problem =
            secrets(7).seal_login(&door(), &mut camera(elsewhere, kept()), Some(&before)).unwrap_err();
        assert!(problem.problem.contains("another place"), "{elsewhere}: {problem:?}");
    }
    let problem = secrets(7).seal_login(&door(), &mut camera("rtsp://10.0.0.7/a", kept()), None).unwrap_err();
    assert!(problem.problem.contains("give one"), "{problem:?}");
}

#[test]
fn a_kept_password_goes_to_nobody_who_was_not_believed() {
    let pinned = |login, pin: Option<&str>| {
        let mut spec = camera("rtsps://10.0.0.7/a", login);
        if let SourceSpec::Rtsp(rtsp) = &mut spec.source {
            rtsp.certificate_fingerprint = pin.map(str::to_owned);
        }
        spec
    };
    for (one, others) in [(Some("aa"), [Some("bb"), None]), (None, [Some("aa"), Some("bb")])] {
        let mut before = pinned(given("s3cret"), one);
        secrets(7).seal_login(&door(), &mut before, None).unwrap();
        secrets(7).seal_login(&door(), &mut pinned(kept(), one), Some(&before)).unwrap();
        for other in others {
            let problem =
                secrets(7).seal_login(&door(), &mut pinned(kept(), other), Some(&before)).unwrap_err();
            assert_eq!(problem.field, "rtsp.login");
            assert!(problem.problem.contains("another certificate"), "{problem:?}");
        }
    }
}

#[test]
fn a_password_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "pass word\n").unwrap();
    let login = LoginSpec { password_file: Some(path.clone()), ..given("x") };
    let login = LoginSpec { given: None, ..login };
    assert_eq!(secrets(7).login(&door(), &login).unwrap().1.expose(), "pass word");
    fs::remove_file(&path).unwrap();
    assert_eq!(secrets(7).login(&door(), &login).unwrap_err().reason(), Reason::Unauthorized);
    // Without an end, it is read no further than a password may be long.
    let endless = LoginSpec { password_file: Some("/dev/zero".into()), ..login };
    let refused = secrets(7).login(&door(), &endless).unwrap_err();
    assert!(refused.to_string().contains("more than"), "{refused}");
}

#[test]
fn a_password_in_a_file_is_kept_like_another() {
    let login = LoginSpec { username: "admin".to_owned(), ..LoginSpec::default() };
    let filed = LoginSpec { password_file: Some("/run/secrets/door".into()), ..login };
    let configured = camera("rtsp://10.0.0.7/a", filed.clone());
    let mut probed = camera("rtsp://10.0.0.7/b", kept());
    secrets(7).seal_login(&door(), &mut probed, Some(&configured)).unwrap();
    assert_eq!(probed.source.login(), Some(&filed));
    let elsewhere =
        secrets(7).seal_login(&door(), &mut camera("rtsp://10.0.0.8/a", kept()), Some(&configured));
    assert!(elsewhere.unwrap_err().problem.contains("another place"));
}
