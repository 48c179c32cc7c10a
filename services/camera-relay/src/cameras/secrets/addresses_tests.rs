use super::{super::secrets, *};
use crate::cameras::{MjpegSpec, RtspSpec};

const GIVEN: &str = "rtsp://10.0.0.7/a?user=u&password=s3cret";
const SHOWN: &str = "rtsp://10.0.0.7/a?user=u&password=***";

fn door() -> CameraName {
    "door".parse().unwrap()
}

fn camera(url: &str) -> CameraSpec {
    let (url, _) = Address::split(url);
    CameraSpec::of(SourceSpec::Rtsp(RtspSpec { url, ..RtspSpec::default() }))
}

fn sealed(url: &str) -> CameraSpec {
    let mut spec = camera(url);
    secrets(7).seal_address(&door(), &mut spec.source).unwrap();
    spec
}

fn opened(key: u8, name: &str, spec: &CameraSpec) -> Result<String, SourceError> {
    let address = spec.source.address().unwrap();
    secrets(key).address(&name.parse().unwrap(), address).map(String::from)
}

#[test]
fn a_secret_is_kept_sealed_for_one_camera_and_one_key() {
    let spec = sealed(GIVEN);
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("s3cret") && json.contains(SHOWN), "{json}");
    let read: CameraSpec = serde_json::from_str(&json).unwrap();
    assert!(read == spec && read.violations().is_empty());
    assert_eq!(opened(7, "door", &read).unwrap(), GIVEN);
    for refused in [opened(7, "other", &read), opened(8, "door", &read)] {
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("give the whole address again"), "{error}");
        assert_eq!(error.reason(), Reason::Unauthorized);
    }
    assert!(!format!("{spec:?}").contains("s3cret") && format!("{spec:?}").contains(SHOWN));
}

#[test]
fn the_same_address_is_sealed_to_the_same() {
    assert_eq!(sealed(GIVEN), sealed(GIVEN));
    assert_ne!(sealed(GIVEN), sealed("rtsp://10.0.0.7/a?user=u&password=other"));
    assert_eq!(sealed("rtsp://10.0.0.7/a"), camera("rtsp://10.0.0.7/a"), "there is nothing to seal");
}

#[test]
fn what_is_not_sealed_is_not_kept() {
    let error = serde_json::to_string(&camera(GIVEN)).unwrap_err();
    assert!(error.to_string().contains("must be sealed"), "{error}");
}

#[test]
fn rows_of_older_versions_are_read() {
    let row = format!(r#"{{"title":"","source":{{"rtsp":{{"url":"{GIVEN}"}}}},"capture":"on_demand"}}"#);
    let mut read: CameraSpec = serde_json::from_str(&row).unwrap();
    assert_eq!(opened(7, "door", &read).unwrap(), GIVEN);
    secrets(7).seal_address(&door(), &mut read.source).unwrap();
    assert_eq!(read, sealed(GIVEN));
    let plain = serde_json::to_string(&sealed("rtsp://10.0.0.7/a")).unwrap();
    assert!(
        plain.contains(r#""url":"rtsp://10.0.0.7/a""#),
        "those without secrets are as they were: {plain}"
    );
}

#[test]
fn what_is_sealed_leads_to_no_other_place_than_is_shown() {
    let row = serde_json::to_string(&sealed(GIVEN)).unwrap().replace("10.0.0.7", "10.0.0.8");
    let moved: CameraSpec = serde_json::from_str(&row).unwrap();
    assert_eq!(opened(7, "door", &moved).unwrap_err().reason(), Reason::Unauthorized);
}

#[test]
fn an_address_shown_with_its_secrets_hidden_means_the_one_that_is_kept() {
    let before = sealed(GIVEN);
    assert_eq!(before.source.address().unwrap().shown(), SHOWN);
    let mut after = camera(SHOWN);
    uncover(&mut after, Some(&before));
    assert_eq!(after, before);
    // Another secret is another address.
    let other = "rtsp://10.0.0.7/a?user=u&password=other";
    let mut after = camera(other);
    uncover(&mut after, Some(&before));
    assert_eq!(opened(7, "door", &after).unwrap(), other);
    // Where none is kept, nothing is meant by it.
    let mut new = camera(SHOWN);
    uncover(&mut new, None);
    assert_eq!(new.violations()[0].field, "rtsp.url");
}

#[test]
fn a_kept_secret_goes_to_nobody_who_was_not_believed() {
    let pinned = |url: &str, pin: Option<String>| {
        let (url, _) = Address::split(url);
        let spec = MjpegSpec { url, certificate_fingerprint: pin, ..MjpegSpec::default() };
        CameraSpec::of(SourceSpec::Mjpeg(spec))
    };
    let [first, second] = ["aa", "bb"].map(|byte| Some(byte.repeat(32)));
    let (given, shown) = ("https://10.0.0.7/a?token=s3cret", "https://10.0.0.7/a?token=***");
    for believed in [&first, &None] {
        let mut before = pinned(given, believed.clone());
        secrets(7).seal_address(&door(), &mut before.source).unwrap();
        for pin in [&first, &second, &None] {
            let mut after = pinned(shown, pin.clone());
            uncover(&mut after, Some(&before));
            let refused =
                after.violations().into_iter().any(|violation| violation.problem.contains("give the secret"));
            assert_eq!(refused, pin != believed, "{believed:?} {pin:?}");
        }
    }
}
