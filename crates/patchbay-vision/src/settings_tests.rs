use super::*;
use crate::{MaskStyle, Point, overlay::Corner};

fn wrong(settings: &ProcessingSettings) -> String {
    let error = settings.check().unwrap_err();
    println!("{error}");
    error.field().unwrap().to_owned()
}

fn overlay() -> Overlay {
    Overlay { corner: Corner::TopLeft, scale: 1.0, zone: "Europe/Berlin".to_owned(), title: None }
}

#[test]
fn each_mistake_names_its_field() {
    let good = ProcessingSettings { overlay: Some(overlay()), ..ProcessingSettings::default() };
    good.check().unwrap();
    let with = |overlay| ProcessingSettings { overlay: Some(overlay), ..good.clone() };
    assert_eq!(wrong(&with(Overlay { scale: 0.0, ..overlay() })), "overlay.scale");
    assert_eq!(wrong(&with(Overlay { scale: f32::NAN, ..overlay() })), "overlay.scale");
    assert_eq!(wrong(&with(Overlay { zone: "Europe/Berlni".to_owned(), ..overlay() })), "overlay.zone");
    assert_eq!(wrong(&with(Overlay { title: Some("x".repeat(81)), ..overlay() })), "overlay.title");
    let points = vec![Point::new(0.0, 0.0), Point::new(1.0, 0.0), Point::new(1.0, 2.0)];
    let mask = Mask { points, style: MaskStyle::Black };
    assert_eq!(wrong(&ProcessingSettings { masks: vec![mask], ..good.clone() }), "masks[0].points[2].y");
    assert_eq!(wrong(&ProcessingSettings { bitrate: Some(1), ..good.clone() }), "bitrate");
    let never = Duration::ZERO;
    assert_eq!(
        wrong(&ProcessingSettings { key_frame_interval: never, ..good.clone() }),
        "key_frame_interval"
    );
    let long = Duration::from_mins(1);
    assert_eq!(wrong(&ProcessingSettings { key_frame_gap: long, ..good }), "key_frame_gap");
}

#[test]
fn zones_are_known_without_those_of_the_system() {
    for zone in ["UTC", "Asia/Shanghai", "America/Argentina/Ushuaia", "Europe/Berlin"] {
        with_zone(zone).check().unwrap();
    }
    assert!(with_zone("").check().is_err());
}

fn with_zone(zone: &str) -> ProcessingSettings {
    let overlay = Overlay { zone: zone.to_owned(), ..overlay() };
    ProcessingSettings { overlay: Some(overlay), ..ProcessingSettings::default() }
}
