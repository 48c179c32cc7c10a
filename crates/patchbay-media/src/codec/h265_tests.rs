use super::*;
use crate::codec::nal::LengthSize;
use proptest::prelude::*;

/// Main profile, level 3.0, 640x480, two pictures of reordering, as x265 writes it.
const SPS: &[u8] = &[
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x5a, 0xa0, 0x05, 0x02, 0x01, 0xe1, 0x65, 0x95, 0x9a, 0x49, 0x32, 0xbc, 0x05, 0xa0, 0x20, 0x00, 0x00,
    0x03, 0x00, 0x20, 0x00, 0x00, 0x03, 0x03, 0x21,
];

#[test]
fn an_sps_of_x265() {
    let sps = Sps::parse(SPS).unwrap();
    assert_eq!((sps.width, sps.height, sps.profile.profile, sps.profile.level), (640, 480, 1, 90));
    assert_eq!((sps.luma_bits, sps.chroma_format, sps.format().reordered), (8, 1, true));
}

#[test]
fn a_record_comes_back() {
    let configuration = nal::join(&[&[0x40, 1, 0x0c, 1][..], SPS, &[0x44, 1, 0xc1, 0x72]]).unwrap();
    let record = Hvcc::build(&configuration).unwrap();
    assert_eq!(Hvcc::parse(&record).unwrap(), Hvcc { length_size: LengthSize::Four, configuration });
    for end in 0..record.len() {
        assert!(Hvcc::parse(&record.slice(..end)).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut data in prop::collection::vec(any::<u8>(), 0..200), at in 0..SPS.len(), value in any::<u8>()) {
        drop((Hvcc::parse(&data.clone().into()), is_key(&data.clone().into())));
        if let Some(first) = data.first_mut() {
            *first = 0x42;
        }
        std::hint::black_box((Sps::parse(&data).is_ok(), vps_id(&data).is_ok(), pps_id(&data).is_ok()));
        drop(Hvcc::build(&nal::join(&[&data[..]]).unwrap()));
        let mut damaged = SPS.to_vec();
        damaged[at] = value;
        std::hint::black_box(Sps::parse(&damaged).is_ok());
    }
}
