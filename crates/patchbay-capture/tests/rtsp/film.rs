//! Pictures as a camera of our own would send them.

use patchbay_av::{KeyFrame, PictureSize, TestPattern, VideoEncoder, VideoSettings};
use patchbay_media::{
    Codec, MediaTime, TrackId,
    codec::nal,
    rtp::{header::Header, packetize::Packetizer},
};
use patchbay_testkit::rtsp::scripted::{Film, Media, Script, Step};
use std::{sync::Arc, time::Duration};

pub(crate) const FPS: u32 = 25;
/// Pictures of a film; then it begins again.
const PICTURES: u64 = 25;
pub(crate) const SSRC: u32 = 0x1234_5678;

type Payload = (Vec<u8>, bool);

/// A film of a second: a key frame and 24 others, each as its payloads.
#[derive(Clone)]
pub(crate) struct Clip {
    /// Each picture's payloads, and whether they have the marker.
    pictures: Arc<[Vec<Payload>]>,
    codec: Codec,
}

impl Clip {
    pub(crate) fn new(codec: Codec, width: u32, height: u32, bitrate: u32) -> Self {
        let size = PictureSize::new(width, height).unwrap();
        let settings = VideoSettings { codec, bitrate, ..VideoSettings::h264(TrackId(0), size, FPS) };
        let mut encoder = VideoEncoder::open(settings).unwrap();
        let pattern = TestPattern::new(size, "camera").unwrap().with_noise(20);
        let mut packetizer = Packetizer::new(codec, 1188);
        let mut pictures = Vec::new();
        for number in 0..PICTURES {
            let ask = if number == 0 { KeyFrame::Now } else { KeyFrame::AsDue };
            let time = MediaTime::from_ticks(i64::try_from(number).unwrap(), FPS);
            let unit =
                encoder.encode(&pattern.draw(number * 40, number).unwrap(), time, ask).unwrap().unwrap();
            assert_eq!(unit.key, number == 0);
            let payloads = packetizer.packetize(&unit.data).unwrap();
            let payload = |index| (payloads.payload(index).unwrap().to_vec(), payloads.marker(index));
            pictures.push((0..payloads.len()).map(payload).collect());
        }
        Self { pictures: pictures.into(), codec }
    }

    pub(crate) fn h264() -> Self {
        Self::new(Codec::H264, 320, 240, 300_000)
    }

    pub(crate) fn sdp(&self) -> String {
        sdp(&[(96, self.codec.name())])
    }

    /// Packets in one round of the film.
    pub(crate) fn packets(&self) -> u64 {
        self.pictures.iter().map(|picture| picture.len() as u64).sum()
    }

    /// The packets of a picture, `number` counting on over the rounds.
    pub(crate) fn picture(&self, number: u64, shape: Shape) -> Vec<Vec<u8>> {
        let before: u64 =
            self.pictures.iter().take((number % PICTURES) as usize).map(|p| p.len() as u64).sum();
        let first = number / PICTURES * self.packets() + before;
        let timestamp = shape.timestamp.wrapping_add((number * u64::from(90_000 / FPS)) as u32);
        let picture = &self.pictures[(number % PICTURES) as usize];
        let packet = |(index, (payload, marker)): (usize, &(Vec<u8>, bool))| {
            let header = Header {
                marker: *marker,
                payload_type: shape.payload_type,
                sequence: shape.sequence.wrapping_add((first + index as u64) as u16),
                timestamp,
                ssrc: shape.ssrc,
            };
            [&header.to_bytes()[..], payload].concat()
        };
        picture.iter().enumerate().map(packet).collect()
    }

    /// The steps of a picture in time.
    pub(crate) fn steps(&self, number: u64, shape: Shape) -> Vec<Step> {
        let mut steps = vec![Step::Until(due(number))];
        steps.extend(self.picture(number, shape).into_iter().map(Step::Packet));
        steps
    }

    /// The film as it should be.
    pub(crate) fn film(&self) -> Film {
        let clip = self.clone();
        Arc::new(move |number| clip.steps(number, Shape::default()))
    }

    pub(crate) fn script(&self) -> Script {
        Script::new(self.sdp(), Media::Film(self.film()))
    }

    /// A film in which something happens to each picture: what is given back is sent.
    pub(crate) fn changed(
        &self,
        change: impl Fn(u64, Vec<Step>) -> Vec<Step> + Send + Sync + 'static,
    ) -> Script {
        let clip = self.clone();
        let film: Film = Arc::new(move |number| change(number, clip.steps(number, Shape::default())));
        Script::new(self.sdp(), Media::Film(film))
    }
}

/// When a picture is due.
pub(crate) fn due(number: u64) -> Duration {
    Duration::from_millis(number * 1000 / u64::from(FPS))
}

pub(crate) fn sdp(formats: &[(u8, &str)]) -> String {
    use std::fmt::Write;
    let mut text = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=Camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP".to_owned();
    for (payload_type, _) in formats {
        write!(text, " {payload_type}").unwrap();
    }
    for (payload_type, name) in formats {
        write!(text, "\r\na=rtpmap:{payload_type} {name}/90000").unwrap();
    }
    text.push_str("\r\na=control:trackID=0\r\n");
    text
}

/// How packets are numbered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Default for Shape {
    /// Numbers that wrap soon.
    fn default() -> Self {
        Self { payload_type: 96, sequence: 65_500, timestamp: u32::MAX - 90_000, ssrc: SSRC }
    }
}

/// Whether a unit can be decoded at all.
pub(crate) fn is_whole(unit: &patchbay_media::AccessUnit) -> bool {
    nal::units(&unit.data).all(|unit| unit.is_ok())
}
