use super::*;
use proptest::prelude::*;

/// 640x480, Main, as libaom writes it in real time.
const HEADER: &[u8] = &[0x00, 0x00, 0x00, 0x24, 0xc4, 0xff, 0xdf, 0x36, 0xbe, 0x40, 0x10];
const KEY: &[u8] = &[0x10, 1, 2, 3];
const INTER: &[u8] = &[0x30, 1, 2, 3];

fn obu(kind: ObuType, body: &'static [u8]) -> Obu {
    Obu { kind, extension: None, has_size: true, body: Bytes::from_static(body) }
}

fn unit(kinds: &[(ObuType, &'static [u8])]) -> Bytes {
    join(&kinds.iter().map(|(kind, body)| obu(*kind, body)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_unit_in_order_is_passed_on_as_it_is() {
    let mut sequence = Sequence::default();
    let key = unit(&[(ObuType::SequenceHeader, HEADER), (ObuType::Frame, KEY)]);
    let normal = sequence.normalise(&key).unwrap();
    assert_eq!((normal.data.as_ptr(), normal.key), (key.as_ptr(), true));
    assert_eq!(normal.configuration, Some(unit(&[(ObuType::SequenceHeader, HEADER)])));
    assert!(is_key(&key).unwrap());
    assert_eq!(sequence.normalise(&key).unwrap().configuration, None);
    let header = sequence.header().unwrap().unwrap();
    assert_eq!((header.width, header.height, header.color.bit_depth), (640, 480, 8));
}

#[test]
fn what_is_missing_is_put_in_and_waste_is_taken_out() {
    let mut sequence = Sequence::default();
    let bare = unit(&[(ObuType::TemporalDelimiter, &[]), (ObuType::Frame, KEY), (ObuType::Padding, &[0; 9])]);
    assert_eq!(sequence.normalise(&bare), Err(HeaderError::NoParameterSets));
    sequence.learn(&unit(&[(ObuType::SequenceHeader, HEADER)])).unwrap();
    let normal = sequence.normalise(&bare).unwrap();
    assert_eq!(normal.data, unit(&[(ObuType::SequenceHeader, HEADER), (ObuType::Frame, KEY)]));
    let inter =
        sequence.normalise(&unit(&[(ObuType::TemporalDelimiter, &[]), (ObuType::Frame, INTER)])).unwrap();
    assert_eq!(inter, Normalised { data: unit(&[(ObuType::Frame, INTER)]), key: false, configuration: None });
}

#[test]
fn a_sequence_header_behind_the_frame_is_for_the_next_one() {
    const TALLER: &[u8] = &[0x00, 0x00, 0x00, 0x24, 0xc4, 0xff, 0xdf, 0x3e, 0xbe, 0x40, 0x10];
    let mut sequence = Sequence::default();
    sequence.learn(&unit(&[(ObuType::SequenceHeader, HEADER)])).unwrap();
    let late =
        sequence.normalise(&unit(&[(ObuType::Frame, KEY), (ObuType::SequenceHeader, TALLER)])).unwrap();
    let expected =
        [(ObuType::SequenceHeader, HEADER), (ObuType::Frame, KEY), (ObuType::SequenceHeader, TALLER)];
    assert_eq!(late.data, unit(&expected));
    let next = sequence.normalise(&unit(&[(ObuType::Frame, KEY)])).unwrap();
    assert_eq!(next.data, unit(&[(ObuType::SequenceHeader, TALLER), (ObuType::Frame, KEY)]));
}

#[test]
fn an_obu_without_a_size_gets_one() {
    let data = Bytes::from_static(&[0x30, 0x30, 1, 2, 3]);
    assert_eq!(Sequence::default().normalise(&data).unwrap().data, unit(&[(ObuType::Frame, INTER)]));
}

#[test]
fn a_record_comes_back() {
    let configuration = unit(&[(ObuType::SequenceHeader, HEADER)]);
    let record = build_av1c(&configuration).unwrap();
    assert_eq!(parse_av1c(&record).unwrap(), configuration);
    assert_eq!(build_av1c(&Bytes::new()), Err(HeaderError::NoParameterSets));
}

#[test]
fn damaged_sizes_are_an_error_and_the_end() {
    for data in [
        &[0x32, 5, 1][..],
        &[0x32],
        &[0xb2, 1, 1],
        &[0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    ] {
        let mut obus = obus(&Bytes::copy_from_slice(data));
        assert!(obus.next().unwrap().is_err());
        assert!(obus.next().is_none());
    }
    assert_eq!(obus(&Bytes::from([0x12, 0].repeat(MAX_OBUS + 1))).count(), MAX_OBUS + 1);
}

proptest! {
    #[test]
    fn units_come_back(list in prop::collection::vec((0_u8..16, prop::option::of(any::<u8>()), prop::collection::vec(any::<u8>(), 0..300)), 1..9)) {
        let list: Vec<_> = list.into_iter().map(|(code, extension, body)| {
            let first = Bytes::from([&[code << 3 | u8::from(extension.is_some()) << 2][..], &Vec::from_iter(extension), &body].concat());
            obus(&first).next().unwrap().unwrap()
        }).collect();
        let joined = join(&list).unwrap();
        let back = obus(&joined).map(|obu| obu.map(|obu| Obu { has_size: false, ..obu })).collect::<Result<Vec<_>, _>>();
        prop_assert_eq!(back.unwrap(), list);
    }

    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..100), at in 0..HEADER.len(), value in any::<u8>()) {
        std::hint::black_box(SequenceHeader::parse(&data).is_ok());
        let mut damaged = HEADER.to_vec();
        damaged[at] = value;
        std::hint::black_box(SequenceHeader::parse(&damaged).is_ok());
        let bytes = Bytes::from(data);
        drop((is_key(&bytes), build_av1c(&bytes), parse_av1c(&bytes), Sequence::default().normalise(&bytes)));
    }
}
