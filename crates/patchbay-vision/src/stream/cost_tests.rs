//! What the work costs.

use super::{
    tests::{NOON, Seen, info, mask, noon, overlay},
    *,
};
use crate::{
    MotionSettings, ProcessingSettings,
    testing::{coded, feed::fed, size, thread_cpu_ms},
};
use patchbay_av::{LiveEncoder, LiveSettings, VideoDecoder};
use patchbay_media::hub::Source;

/// CPU time a picture of each part, in milliseconds; 25 pictures a second are 2.5 % of a core for each.
#[test]
fn what_it_costs() {
    let whole = size(1280, 720);
    let units = coded(whole, 25, 150, 2_500_000);
    let mut decoder = VideoDecoder::open(&info(1280, 720)).unwrap();
    let begun = thread_cpu_ms();
    let pictures: Vec<_> = units.iter().flat_map(|unit| decoder.decode(unit).unwrap()).collect();
    let decoding = (thread_cpu_ms() - begun) / 150.0;
    assert_eq!(pictures.len(), 150);

    let figures = Arc::<VisionFigures>::default();
    let mut eye =
        eye::Eye::new(&MotionSettings::default(), Arc::new(Seen::default()), Arc::clone(&figures)).unwrap();
    let begun = thread_cpu_ms();
    for decoded in &pictures {
        eye.see(&decoded.picture, decoded.pts, NOON);
    }
    let looking = (thread_cpu_ms() - begun) / 150.0;
    assert_eq!(figures.looks(), 30);

    let (inner, _acts) = fed();
    let with = |overlay, masks| {
        let settings = ProcessingSettings { overlay, masks, ..ProcessingSettings::default() };
        Processed::new(Arc::clone(&inner) as Arc<dyn Source>, settings, None, noon()).unwrap()
    };
    let work = |of: &Processed| {
        let mut tools = processing::Tools::new();
        let begun = thread_cpu_ms();
        for (number, decoded) in (0_u64..).zip(&pictures) {
            let masked = tools.mask(of, &decoded.picture).unwrap();
            drop(tools.finish(of, &masked, NOON + number * 40).unwrap());
        }
        (thread_cpu_ms() - begun) / 150.0
    };
    let clock = work(&with(Some(overlay()), Vec::new()));
    let masks = work(&with(None, vec![mask()]));

    let mut encoder = LiveEncoder::new(LiveSettings::default());
    let begun = thread_cpu_ms();
    for decoded in &pictures {
        drop(encoder.encode(&decoded.picture, decoded.pts).unwrap());
    }
    let encoding = (thread_cpu_ms() - begun) / 150.0;
    let percent = |ms: f64| ms * 2.5;
    println!(
        "720p25, ms a picture: decoding {decoding:.2}, looking for motion {looking:.2} (5 looks a second), clock {clock:.2}, masks {masks:.2}, encoding {encoding:.2}"
    );
    println!(
        "of a core: motion alone {:.1} %, clock and encoding anew {:.1} %, all {:.1} %",
        percent(decoding + looking),
        percent(decoding + clock + encoding),
        percent(decoding + looking + clock + masks + encoding),
    );
    assert!(looking < 2.0 && clock < 3.0 && masks < 3.0);
}
