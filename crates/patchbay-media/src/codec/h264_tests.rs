use super::*;
use crate::codec::nal;
use proptest::prelude::*;

/// Of x264, 640x480, Constrained Baseline 3.0, with VUI.
const BASELINE: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x3d, 0xb0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00,
    0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2e, 0x48,
];

#[test]
fn an_sps_of_x264() {
    let sps = Sps::parse(BASELINE).unwrap();
    assert_eq!(sps.profile_level_id(), "42c01e");
    assert_eq!((sps.width, sps.height, sps.max_reorder, sps.reordered()), (640, 480, Some(0), false));
    assert_eq!(sps.timing, Some((1, 60)));
}

#[test]
fn an_sps_whose_vui_is_cut_off_still_has_a_size() {
    let sps = Sps::parse(&BASELINE[..12]).unwrap();
    assert_eq!((sps.width, sps.height, sps.timing), (640, 480, None));
    assert_eq!(Sps::parse(&BASELINE[..6]), Err(HeaderError::Truncated));
}

#[test]
fn a_record_comes_back() {
    let configuration = nal::join(&[BASELINE, &[0x68, 0xce, 0x3c, 0x80]]).unwrap();
    let record = Avcc::build(&configuration).unwrap();
    assert_eq!(&record[..6], [1, 0x42, 0xc0, 0x1e, 0xff, 0xe1]);
    assert_eq!(Avcc::parse(&record).unwrap(), Avcc { length_size: LengthSize::Four, configuration });
    for end in 0..record.len() {
        assert!(Avcc::parse(&record.slice(..end)).is_err(), "{end}");
    }
    assert_eq!(Avcc::build(&Bytes::new()), Err(HeaderError::NoParameterSets));
}

#[test]
fn a_slice_tells_how_it_is_predicted() {
    // first_mb 0, slice_type 6 (B), PPS 0
    let header = SliceHeader::parse(&[0x01, 0b1001_1110, 0x80]).unwrap();
    assert_eq!(header, SliceHeader { ref_idc: 0, first: true, slice_type: SliceType::B, pps: 0 });
    assert!(SliceHeader::parse(BASELINE).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut data in prop::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![0x67, 0x68, 0x65, 0x41])) {
        drop(Avcc::parse(&data.clone().into()));
        std::hint::black_box(is_bidirectional(&data.clone().into()).is_ok());
        if let Some(first) = data.first_mut() {
            *first = kind;
        }
        std::hint::black_box((Sps::parse(&data).is_ok(), PpsIds::parse(&data).is_ok(), SliceHeader::parse(&data).is_ok()));
        drop(Avcc::build(&nal::join(&[&data[..]]).unwrap()));
    }

    #[test]
    fn a_damaged_sps_is_read_or_refused(at in 0..BASELINE.len(), value in any::<u8>()) {
        let mut data = BASELINE.to_vec();
        data[at] = value;
        std::hint::black_box(Sps::parse(&data).is_ok());
    }
}
