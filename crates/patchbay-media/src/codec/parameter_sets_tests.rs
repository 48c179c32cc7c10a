use super::*;
use proptest::prelude::*;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x3d, 0xb0, 0x11];
const WIDER_SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa4, 0x3d, 0xb0, 0x11];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const SEI: &[u8] = &[6, 5, 1, 0, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 0x80, 0x40];
const P_SLICE: &[u8] = &[0x41, 0x9a, 0x02, 0x04];
const DELIMITER: &[u8] = &[9, 0xf0];
const FILLER: &[u8] = &[12, 0xff, 0x80];

fn unit(nals: &[&[u8]]) -> Bytes {
    nal::join(nals).unwrap()
}

#[test]
fn a_unit_in_order_is_passed_on_as_it_is() {
    let mut sets = ParameterSets::h264();
    let key = unit(&[SPS, PPS, SEI, IDR]);
    let first = sets.normalise(&key).unwrap();
    assert_eq!((first.data.as_ptr(), first.key), (key.as_ptr(), true));
    assert_eq!(first.configuration, Some(unit(&[SPS, PPS])));
    assert_eq!(sets.normalise(&key).unwrap().configuration, None, "nothing new");
    let slice = unit(&[P_SLICE]);
    assert_eq!(sets.normalise(&slice).unwrap(), Normalised { data: slice, key: false, configuration: None });
}

#[test]
fn what_is_missing_is_put_in_and_waste_is_taken_out() {
    let mut sets = ParameterSets::h264();
    assert_eq!(sets.normalise(&unit(&[IDR])), Err(HeaderError::NoParameterSets));
    sets.learn(&unit(&[SPS, PPS])).unwrap();
    let key = sets.normalise(&unit(&[DELIMITER, SEI, IDR, FILLER])).unwrap();
    assert_eq!(key.data, unit(&[SPS, PPS, SEI, IDR]));
    assert_eq!(
        sets.normalise(&unit(&[PPS, IDR])).unwrap().data,
        unit(&[SPS, PPS, IDR]),
        "one of two is not enough"
    );
    assert_eq!(sets.normalise(&unit(&[PPS, PPS, IDR])).unwrap().data, unit(&[SPS, PPS, IDR]));
    assert_eq!(
        sets.normalise(&unit(&[IDR, SPS, PPS])).unwrap().data,
        unit(&[SPS, PPS, IDR]),
        "behind the slice is late"
    );
    assert_eq!(sets.normalise(&unit(&[DELIMITER, P_SLICE])).unwrap().data, unit(&[P_SLICE]));
}

#[test]
fn a_change_is_told_once() {
    let mut sets = ParameterSets::h264();
    sets.learn(&unit(&[SPS, PPS])).unwrap();
    let before = sets.format().unwrap();
    let changed = sets.normalise(&unit(&[WIDER_SPS, PPS, IDR])).unwrap();
    assert_eq!(changed.configuration, Some(unit(&[WIDER_SPS, PPS])));
    assert_eq!(
        sets.normalise(&unit(&[IDR])).unwrap().data,
        unit(&[WIDER_SPS, PPS, IDR]),
        "the newest ones count"
    );
    assert_eq!(before.width, 640);
    assert_ne!(sets.format().unwrap(), before);
}

#[test]
fn what_is_kept_is_limited() {
    let mut sets = ParameterSets::h264();
    let long = [PPS, &vec![0x55; MAX_PARAMETER_SET_BYTES][..]].concat();
    assert!(matches!(sets.learn(&unit(&[&long])), Err(HeaderError::TooLarge { .. })));
    // Seven zeros, and a number of eight bits: 127 to 254.
    let many: Vec<_> = (0..=127_u8).map(|id| vec![0x68, 1, id << 1 | 1, 0x80]).collect();
    assert!(matches!(sets.learn(&nal::join(&many).unwrap()), Err(HeaderError::TooLarge { .. })));
    assert_eq!(nal::units(&sets.configuration().unwrap()).count(), MAX_PARAMETER_SETS);
}

#[test]
fn h265_needs_three_kinds() {
    let (vps, pps, idr) = (&[0x40, 1, 0x0c][..], &[0x44, 1, 0xc1][..], &[0x26, 1, 0xaf][..]);
    let sps: &[u8] = &[
        0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5a, 0xa0, 5, 2, 1, 0xe1, 0x65, 0x95,
        0x9a, 0x49, 0x32, 0xbc,
    ];
    let mut sets = ParameterSets::h265();
    sets.learn(&unit(&[sps, pps])).unwrap();
    assert_eq!(sets.normalise(&unit(&[idr])), Err(HeaderError::NoParameterSets));
    let normal = sets.normalise(&unit(&[&[0x46, 1, 0x10], vps, idr])).unwrap();
    assert_eq!(normal.data, unit(&[vps, sps, pps, idr]));
    assert_eq!(normal.configuration, Some(unit(&[vps, sps, pps])));
    assert_eq!(sets.format().unwrap(), VideoFormat { width: 640, height: 480, reordered: true });
}

proptest! {
    /// Whatever the order of NAL units: a key unit starts with all sets, nothing but waste is lost, and doing it again changes nothing.
    #[test]
    fn what_comes_out_is_in_the_form_of_the_hub(picks in prop::collection::vec(0_usize..7, 1..12)) {
        let pool = [SPS, PPS, SEI, IDR, P_SLICE, DELIMITER, FILLER];
        let nals: Vec<_> = picks.iter().map(|pick| pool[*pick]).collect();
        let mut sets = ParameterSets::h264();
        sets.learn(&unit(&[SPS, PPS])).unwrap();
        let normal = sets.normalise(&unit(&nals)).unwrap();
        let count = |nals: &[Vec<u8>], wanted: &[u8]| nals.iter().filter(|nal| nal[..] == *wanted).count();
        let before: Vec<_> = nals.iter().map(|nal| nal.to_vec()).collect();
        let after: Vec<_> = nal::units(&normal.data).map(|nal| nal.unwrap().to_vec()).collect();
        prop_assert_eq!(normal.key, count(&before, IDR) > 0);
        if let Some(first) = after.iter().position(|nal| nal == IDR) {
            prop_assert!(count(&after[..first], SPS) >= 1 && count(&after[..first], PPS) >= 1);
        }
        for kept in [SEI, IDR, P_SLICE] {
            prop_assert_eq!(count(&before, kept), count(&after, kept));
        }
        prop_assert_eq!(count(&after, DELIMITER) + count(&after, FILLER), 0);
        prop_assert_eq!(sets.normalise(&normal.data).unwrap().data, normal.data);
    }

    #[test]
    fn any_units_are_taken_or_refused(nals in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..10), raw in prop::collection::vec(any::<u8>(), 0..100)) {
        for mut sets in [ParameterSets::h264(), ParameterSets::h265()] {
            drop(sets.normalise(&nal::join(&nals).unwrap()));
            drop(sets.normalise(&raw.clone().into()));
            prop_assert!(sets.configuration().unwrap().len() <= MAX_PARAMETER_SET_BYTES + 4 * MAX_PARAMETER_SETS);
        }
    }
}
