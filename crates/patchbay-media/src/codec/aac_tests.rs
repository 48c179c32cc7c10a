use super::*;
use proptest::prelude::*;

#[test]
fn well_known_configurations() {
    let stereo = AudioSpecificConfig::low_complexity(44_100, 2);
    assert_eq!(AudioSpecificConfig::parse(&[0x12, 0x10]), Ok(stereo));
    assert_eq!(&stereo.build().unwrap()[..], [0x12, 0x10]);
    assert_eq!(&AudioSpecificConfig::low_complexity(48_000, 1).build().unwrap()[..], [0x11, 0x88]);
}

#[test]
fn extensions_are_seen_in_both_ways_to_say_them() {
    // SBR at 48 kHz over a core of 24 kHz with two channels, in front and behind.
    for config in [&[0x2b, 0x11, 0x88, 0x00][..], &[0x13, 0x10, 0x56, 0xe5, 0x98]] {
        let parsed = AudioSpecificConfig::parse(config).unwrap();
        assert_eq!(
            (parsed.object_type, parsed.core_rate, parsed.rate(), parsed.channels()),
            (2, 24_000, 48_000, 2)
        );
        assert_eq!((parsed.signalled_type(), parsed.parametric_stereo), (5, false));
    }
    let parsed = AudioSpecificConfig::parse(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]).unwrap();
    assert_eq!((parsed.signalled_type(), parsed.core_channels, parsed.channels()), (29, 1, 2));
}

#[test]
fn channels_can_be_told_one_by_one() {
    // Channel configuration 0: a pair in front, one in front, and a low one.
    let mut bits = BitWriter::default();
    for (value, count) in [
        (2, 5),
        (3, 4),
        (0, 4),
        (0, 3),
        (0, 10),
        (2, 4),
        (0, 8),
        (1, 2),
        (0, 7),
        (0, 3),
        (0b10_0000_0001, 10),
        (0, 4),
    ] {
        bits.put(value, count);
    }
    let mut config = bits.finish().to_vec();
    config.push(0);
    assert_eq!(AudioSpecificConfig::parse(&config).unwrap().channels(), 4);
}

#[test]
fn an_adts_stream_comes_apart() {
    let frame = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 1, 2];
    let frames = adts_frames(&Bytes::from(frame.repeat(3))).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(
        frames,
        vec![(AudioSpecificConfig::low_complexity(44_100, 2), Bytes::from_static(&[1, 2])); 3]
    );
    for end in 1..frame.len() {
        assert_eq!(
            adts_frames(&Bytes::copy_from_slice(&frame[..end])).next(),
            Some(Err(HeaderError::Truncated)),
            "{end}"
        );
    }
}

#[test]
fn configurations_that_would_not_come_back_are_not_written() {
    for object_type in [5, 6, 20, 29] {
        let config = AudioSpecificConfig { object_type, ..AudioSpecificConfig::low_complexity(48_000, 2) };
        assert!(matches!(config.build(), Err(HeaderError::Unsupported(_))));
    }
}

proptest! {
    #[test]
    fn configurations_come_back(
        object_type in prop::sample::select(vec![1_u8, 2, 3, 4]), core_rate in 1000_u32..=192_000, core_channels in 1_u8..=6,
        sbr_rate in prop::option::of(prop::sample::select(RATES.to_vec())), stereo in any::<bool>(), block in prop::sample::select(vec![960, 1024]),
    ) {
        let parametric_stereo = stereo && sbr_rate.is_some();
        let config = AudioSpecificConfig { object_type, core_rate, core_channels, sbr_rate, parametric_stereo, block };
        prop_assert_eq!(AudioSpecificConfig::parse(&config.build().unwrap()), Ok(config));
    }

    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..64), sync in any::<bool>()) {
        if let Ok(config) = AudioSpecificConfig::parse(&data) {
            prop_assert!(config.channels() > 0 && config.rate() > 0);
            drop(config.build());
        }
        let stream = if sync { [&[0xff, 0xf1, 0x50, 0x80][..], &data].concat() } else { data };
        prop_assert!(adts_frames(&Bytes::from(stream.clone())).count() <= stream.len());
    }
}
