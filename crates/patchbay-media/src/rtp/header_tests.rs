use super::*;
use proptest::prelude::*;

const HEADER: Header =
    Header { marker: true, payload_type: 96, sequence: 0x0102, timestamp: 0x0304_0506, ssrc: 0x0708_090A };

fn header() -> impl Strategy<Value = Header> {
    (any::<bool>(), 0..128_u8, any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
        |(marker, payload_type, sequence, timestamp, ssrc)| Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
        },
    )
}

#[test]
fn every_byte_has_its_place() {
    assert_eq!(HEADER.to_bytes(), [0x80, 0xE0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let mut extensions = Extensions::new();
    extensions.push(3, &[0xAA, 0xBB, 0xCC]).unwrap();
    let mut out = [0xFF; 40];
    assert_eq!(HEADER.write(&extensions, &mut out), Ok(20));
    assert_eq!(
        out[..20],
        [0x90, 0xE0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xBE, 0xDE, 0, 1, 0x32, 0xAA, 0xBB, 0xCC]
    );
    assert_eq!(HEADER.write(&extensions, &mut out[..19]), Err(HeaderError::NoRoom { needed: 20, room: 19 }));
}

#[test]
fn sources_extensions_and_padding_are_stepped_over() {
    let bytes = [
        &HEADER.to_bytes()[..],
        &[1, 1, 1, 1],
        &[0xBE, 0xDE, 0, 2, 0x10, 9, 0, 0x21, 8, 7, 0, 0],
        &[5, 6, 0, 2],
    ]
    .concat();
    let bytes = [&[0xB1], &bytes[1..]].concat();
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.header, packet.payload, packet.payload_range()), (HEADER, &[5, 6][..], 28..30));
    assert_eq!(packet.extensions().collect::<Vec<_>>(), [(1, &[9][..]), (2, &[8, 7][..])]);
    assert_eq!((packet.extension(2), packet.extension(3)), (Some(&[8, 7][..]), None));
}

#[test]
fn what_is_no_packet_is_refused() {
    let parse = |bytes: &[u8]| Packet::parse(bytes).map(|packet| packet.payload.len());
    let with_flags = |flags: u8, behind: &[u8]| [&[flags], &HEADER.to_bytes()[1..], behind].concat();
    assert_eq!(parse(&[0x80; 11]), Err(HeaderError::Short(11)));
    assert_eq!(parse(&with_flags(0x40, &[])), Err(HeaderError::Version(1)));
    assert_eq!(parse(&with_flags(0x82, &[0; 7])), Err(HeaderError::Short(19)));
    assert_eq!(parse(&with_flags(0x90, &[0xBE, 0xDE, 0, 2, 0, 0, 0, 0])), Err(HeaderError::Short(20)));
    assert_eq!(parse(&with_flags(0xA0, &[1, 2, 4])), Err(HeaderError::Padding { padding: 4, payload: 3 }));
    assert_eq!(parse(&with_flags(0xA0, &[1, 2, 0])), Err(HeaderError::Padding { padding: 0, payload: 3 }));
    assert_eq!(parse(&with_flags(0xA0, &[0, 0, 3])), Ok(0));
}

#[test]
fn extensions_have_limits() {
    let mut extensions = Extensions::new();
    for (id, size) in [(0, 1), (15, 1), (1, 0), (1, 17)] {
        assert_eq!(extensions.push(id, &vec![0; size]), Err(HeaderError::Extension { id, size }));
    }
    for id in 1..=3 {
        extensions.push(id, &[id; 16]).unwrap();
    }
    assert!(extensions.push(4, &[4; 16]).is_err());
    extensions.push(4, &[4; 8]).unwrap();
    let mut out = [0; 76];
    assert_eq!(HEADER.write(&extensions, &mut out), Ok(76));
    assert_eq!(Packet::parse(&out).unwrap().extensions().count(), 4);
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in header(), values in prop::collection::vec((1..15_u8, 1..13_usize), 0..5), payload in prop::collection::vec(any::<u8>(), 0..50)) {
        let mut extensions = Extensions::new();
        let mut expected = Vec::new();
        for (id, size) in values {
            if extensions.push(id, &vec![id; size]).is_ok() {
                expected.push((id, vec![id; size]));
            }
        }
        let mut out = vec![0; 200];
        let length = header.write(&extensions, &mut out).unwrap();
        out.truncate(length);
        out.extend_from_slice(&payload);
        let packet = Packet::parse(&out).unwrap();
        prop_assert_eq!((packet.header, packet.payload), (header, &payload[..]));
        let found: Vec<_> = packet.extensions().map(|(id, data)| (id, data.to_vec())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100), first in any::<u8>()) {
        let mut bytes = bytes;
        if let Some(flags) = bytes.first_mut() {
            *flags = 0x80 | first & 0x3F;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(&bytes[packet.payload_range()], packet.payload);
            prop_assert!(packet.extensions().count() <= bytes.len());
        }
    }
}
