use super::*;

fn nal_unit(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&u32::try_from(nal.len()).unwrap().to_be_bytes(), *nal].concat()).collect()
}

fn payloads(codec: Codec, limit: usize, unit: &[u8]) -> Vec<Vec<u8>> {
    let cut = Packetizer::new(codec, limit).packetize(unit).unwrap();
    assert!(cut.iter().all(|payload| payload.len() <= limit));
    cut.iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn parameter_sets_share_a_packet_and_the_picture_is_in_fragments() {
    let picture = [&[0x65][..], &[7; 100]].concat();
    let unit = nal_unit(&[&[0x09, 0xF0], &[0x67, 1, 2], &[0x68, 3], &picture]);
    let cut = payloads(Codec::H264, 64, &unit);
    assert_eq!(cut[0], [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
    assert_eq!(cut[1][..3], [0x7C, 0x85, 7]);
    assert_eq!(cut[2][..3], [0x7C, 0x45, 7]);
    assert_eq!((cut.len(), cut[1].len(), cut[2].len()), (3, 64, 40));
}

#[test]
fn a_nal_unit_that_just_fits_stays_whole() {
    let nal = [&[0x41][..], &[7; 63]].concat();
    assert_eq!(payloads(Codec::H264, 64, &nal_unit(&[&nal])), [nal]);
}

#[test]
fn h265_has_two_bytes_of_header() {
    let picture = [&[0x26, 0x01][..], &[7; 100]].concat();
    let cut = payloads(Codec::H265, 64, &nal_unit(&[&[0x40, 0x01, 5], &[0x42, 0x01, 6], &picture]));
    assert_eq!(cut[0], [0x60, 0x01, 0, 3, 0x40, 0x01, 5, 0, 3, 0x42, 0x01, 6]);
    assert_eq!(cut[1][..4], [0x62, 0x01, 0x93, 7]);
    assert_eq!(cut[2][..4], [0x62, 0x01, 0x53, 7]);
}

#[test]
fn vp8_pictures_are_numbered_in_15_bits() {
    let mut packetizer = Packetizer::new(Codec::Vp8, 64);
    for number in 0..0x8002_u16 {
        let cut = packetizer.packetize(&[9; 70]).unwrap();
        let [high, low] = (number & 0x7FFF | 0x8000).to_be_bytes();
        assert_eq!(cut.get(0).unwrap()[..5], [0x90, 0x80, high, low, 9]);
        assert_eq!(cut.get(1).unwrap()[..5], [0x80, 0x80, high, low, 9]);
        assert_eq!((cut.len(), cut.marker(0), cut.marker(1)), (2, false, true));
        assert_eq!(cut.get(2), None);
    }
}

#[test]
fn a_key_frame_of_vp9_says_its_size() {
    // Profile 0, key frame, shown; sync code; BT.601; 640x480.
    let frame = [0x82, 0x49, 0x83, 0x42, 0x40, 0x27, 0xF0, 0x1D, 0xF0, 1, 2, 3];
    let key = [&frame[..], &[7; 60]].concat();
    let cut = payloads(Codec::Vp9, 64, &key);
    assert_eq!(cut[0][..11], [0x8A, 0x80, 0, 0x18, 0x02, 0x80, 0x01, 0xE0, 1, 0x04, 1]);
    assert_eq!(cut[1][..3], [0x84, 0x80, 0]);
    assert_eq!(payloads(Codec::Vp9, 64, &[0x86, 0, 0])[0][..3], [0xCC, 0x80, 0]);
}

#[test]
fn av1_units_lose_their_sizes_and_delimiters() {
    let unit = [0x12, 0, 0x0A, 2, 1, 2, 0x32, 3, 0x10, 8, 9];
    assert_eq!(payloads(Codec::Av1, 64, &unit), [[0x08, 3, 0x08, 1, 2, 4, 0x30, 0x10, 8, 9]]);
    let unit = [&[0x32, 70][..], &[7; 70]].concat();
    let cut = payloads(Codec::Av1, 64, &unit);
    assert_eq!((cut[0].len(), &cut[0][..3]), (64, &[0x40, 62, 0x30][..]));
    assert_eq!(cut[1], [&[0x80, 9][..], &[7; 9]].concat());
}

#[test]
fn sound_is_cut_as_its_format_allows() {
    assert_eq!(payloads(Codec::Opus, 64, &[1, 2, 3]), [[1, 2, 3]]);
    let too_long = PacketizeError::Indivisible { codec: Codec::Opus, size: 65, limit: 64 };
    assert_eq!(Packetizer::new(Codec::Opus, 64).packetize(&[1; 65]), Err(too_long));
    assert_eq!(payloads(Codec::Aac, 64, &[1, 2, 3]), [[0, 16, 0, 3 << 3, 1, 2, 3]]);
    let cut = Packetizer::new(Codec::Pcma, 64).packetize(&[1; 160]).unwrap();
    let offsets: Vec<_> =
        (0..cut.len()).map(|index| (cut.timestamp_offset(index), cut.marker(index))).collect();
    assert_eq!(offsets, [(0, false), (64, false), (128, false)]);
}

#[test]
fn what_is_no_unit_is_refused() {
    for codec in Codec::ALL {
        assert_eq!(Packetizer::new(codec, 1188).packetize(&[]), Err(PacketizeError::Empty), "{codec:?}");
    }
    let cut_off = [0, 0, 0, 2, 0x41, 1, 0, 0, 0, 9, 0x41];
    let malformed = PacketizeError::Malformed { codec: Codec::H264, at: 6 };
    assert_eq!(Packetizer::new(Codec::H264, 1188).packetize(&cut_off), Err(malformed));
    let long = vec![0; MAX_UNIT + 1];
    assert_eq!(Packetizer::new(Codec::Vp8, 1188).packetize(&long), Err(PacketizeError::TooLong(long.len())));
}
