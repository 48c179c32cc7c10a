//! What the work costs.

use super::{
    tests::{NOON, Seen, info, mask, noon, overlay},
    *,
};
use crate::{
    MotionSettings, ProcessingSettings,
    testing::{at_ms, coded, feed::fed, size, thread_cpu_ms},
};
use patchbay_av::{LiveEncoder, LiveSettings, VideoDecoder};
use patchbay_media::hub::Source;

/// CPU time a picture of each part, in milliseconds; 25 pictures a second are 2.5 % of a core for each.
#[test]
fn what_it_costs() {
    // A second of pictures, five times over: no more memory than that, which other tests measure.
    let units = coded(size(1280, 720), 25, 25, 2_500_000);
    let mut decoder = VideoDecoder::open(&info(1280, 720)).unwrap();
    let begun = thread_cpu_ms();
    let pictures: Vec<_> = units.iter().flat_map(|unit| decoder.decode(unit).unwrap()).collect();
    let decoding = (thread_cpu_ms() - begun) / 25.0;
    assert_eq!(pictures.len(), 25);
    let all =
        || (0..125_u64).zip(pictures.iter().cycle()).map(|(number, of)| (&of.picture, at_ms(number * 40)));

    let figures = Arc::<VisionFigures>::default();
    let motion = MotionSettings::default();
    let mut eye = eye::Eye::new(&motion, Arc::new(Seen::default()), Arc::clone(&figures)).unwrap();
    let begun = thread_cpu_ms();
    all().for_each(|(picture, at)| eye.see(picture, at, NOON));
    let looking = (thread_cpu_ms() - begun) / 125.0;
    assert_eq!(figures.looks(), 25);

    let (inner, _acts) = fed();
    let with = |overlay, masks| {
        let settings = ProcessingSettings { overlay, masks, ..ProcessingSettings::default() };
        Processed::new(Arc::clone(&inner) as Arc<dyn Source>, settings, None, noon()).unwrap()
    };
    let work = |of: &Processed| {
        let mut tools = processing::Tools::new();
        let begun = thread_cpu_ms();
        for (number, (picture, _)) in (0_u64..).zip(all()) {
            let masked = tools.mask(of, picture).unwrap();
            drop(tools.finish(of, &masked, NOON + number * 40).unwrap());
        }
        (thread_cpu_ms() - begun) / 125.0
    };
    let clock = work(&with(Some(overlay()), Vec::new()));
    let masks = work(&with(None, vec![mask()]));

    let mut encoder = LiveEncoder::new(LiveSettings::default());
    let begun = thread_cpu_ms();
    all().for_each(|(picture, at)| drop(encoder.encode(picture, at).unwrap()));
    let encoding = (thread_cpu_ms() - begun) / 125.0;
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
