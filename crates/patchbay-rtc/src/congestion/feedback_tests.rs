use super::*;
use proptest::prelude::*;

fn body(first: u16, count: u16, reference: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2];
    body.extend_from_slice(&first.to_be_bytes());
    body.extend_from_slice(&count.to_be_bytes());
    body.extend_from_slice(&reference.to_be_bytes()[1..]);
    body.push(7);
    body.extend_from_slice(rest);
    body
}

fn arrivals(body: &[u8]) -> Option<Vec<(u16, i64)>> {
    let mut all = Vec::new();
    Feedback::read(body)?.arrivals(|number, at| all.push((number, at)));
    Some(all)
}

#[test]
fn runs_and_both_kinds_of_vectors_are_read() {
    // Three that arrived in small steps, two that did not, then 1,0,1 in single bits, then large, none, small in pairs of bits.
    let rest = [0x20, 3, 0x00, 2, 0b1010_1000, 0, 0b1110_0001, 0, 4, 8, 12, 1, 2, 0xff, 0xfc, 5];
    let found = arrivals(&body(65_534, 22, 9, &rest)).unwrap();
    let expected = [
        (65_534, 1_000),
        (65_535, 3_000),
        (0, 6_000),
        // 1 and 2 are missing; of the 14 that follow the first and the third have arrived.
        (3, 6_250),
        (5, 6_750),
        (17, 5_750),
        (19, 7_000),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_cut_short_tells_what_it_can() {
    assert_eq!(arrivals(&body(1, 3, 0, &[0x20, 3, 4, 8])), Some(vec![(1, 1_000), (2, 3_000)]));
    assert_eq!(arrivals(&body(1, 3, 0, &[0x20])), None, "no whole chunk");
    assert_eq!(arrivals(&body(1, 0, 0, &[0x20, 3, 4, 8])), None, "about nothing");
    assert_eq!(arrivals(&body(1, 100, 0, &[0x20, 3, 0x20, 8])), None, "chunks are missing");
    assert_eq!(arrivals(&[0; 15]), None);
}

#[test]
fn reference_times_wrap() {
    assert_eq!(between(0xff_ffff, 1), 128_000);
    assert_eq!(between(1, 0xff_ffff), -128_000);
}

proptest! {
    /// However large the numbers in it, the work is bounded by its bytes.
    #[test]
    fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        if let Some(all) = arrivals(&bytes) {
            prop_assert!(all.len() <= bytes.len());
        }
    }

    #[test]
    fn a_changed_report_is_read_too(at in 0_usize..40, to in any::<u8>()) {
        let mut bytes = body(65_000, 700, 3, &[0x20, 20, 0x02, 0x9e, 0xd5, 0x55, 0xa0, 0x00, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        if let Some(all) = arrivals(&bytes) {
            prop_assert!(all.len() <= bytes.len());
        }
    }
}
