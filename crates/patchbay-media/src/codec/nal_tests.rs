use super::*;
use proptest::prelude::*;

/// A unit as an encoder makes it: no start code inside, no zero at its end.
fn unit() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(3), any::<u8>()], 1..40).prop_map(|raw| {
        let mut unit = with_emulation_prevention(&raw);
        unit.push(0x80);
        unit
    })
}

fn with_emulation_prevention(raw: &[u8]) -> Vec<u8> {
    let mut unit = Vec::new();
    for byte in raw {
        if unit.ends_with(&[0, 0]) && *byte <= 3 {
            unit.push(3);
        }
        unit.push(*byte);
    }
    unit
}

#[test]
fn start_codes_of_both_lengths_and_zeros_between_units_are_understood() {
    let stream = [7, 7, 0, 0, 1, 0x67, 1, 0, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 0, 0, 1, 0x65, 3, 0, 0];
    let data = from_annex_b(&stream).unwrap();
    assert_eq!(&data[..], [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 2, 0x68, 2, 0, 0, 0, 2, 0x65, 3]);
}

#[test]
fn what_is_no_annex_b_stream_is_refused() {
    assert_eq!(from_annex_b(&[1, 2, 3]), Err(HeaderError::Invalid("no start code in an Annex B stream")));
    assert_eq!(from_annex_b(&[]).unwrap(), Bytes::new());
}

#[test]
fn limits_hold() {
    let many = [0, 0, 1, 9].repeat(MAX_NAL_UNITS + 1);
    assert_eq!(from_annex_b(&many), Err(TOO_MANY));
    let many = Bytes::from([0, 0, 0, 1, 9].repeat(MAX_NAL_UNITS + 1));
    assert_eq!(units(&many).last().unwrap(), Err(TOO_MANY));
    assert_eq!(units(&many).count(), MAX_NAL_UNITS + 1);
    assert_eq!(from_annex_b(&vec![0; MAX_UNIT_BYTES + 1]), Err(TOO_LONG));
}

#[test]
fn damaged_lengths_are_an_error_and_the_end() {
    for data in [&[0, 0, 0][..], &[0, 0, 0, 2, 9], &[0, 0, 0, 0, 9], &[255, 255, 255, 255, 9]] {
        let mut units = units(&Bytes::copy_from_slice(data));
        assert!(units.next().unwrap().is_err());
        assert!(units.next().is_none());
    }
}

#[test]
fn units_share_the_bytes_of_their_access_unit() {
    let data = from_annex_b(&[0, 0, 1, 0x67, 1]).unwrap();
    let unit = units(&data).next().unwrap().unwrap();
    assert_eq!(unit.as_ptr(), data[4..].as_ptr());
    assert_eq!(from_lengths(&data, LengthSize::Four).unwrap().as_ptr(), data.as_ptr());
}

proptest! {
    #[test]
    fn framings_come_back(raw in prop::collection::vec(unit(), 1..20), zeros in 0_usize..4) {
        let mut stream = Vec::new();
        for unit in &raw {
            stream.extend(std::iter::repeat_n(0, zeros));
            stream.extend([0, 0, 1]);
            stream.extend(unit);
        }
        let data = from_annex_b(&stream).unwrap();
        let split: Vec<_> = units(&data).map(|unit| unit.unwrap().to_vec()).collect();
        prop_assert_eq!(&split, &raw);
        prop_assert_eq!(from_annex_b(&to_annex_b(&data).unwrap()).unwrap(), data.clone());
        let short: Vec<_> = raw.iter().flat_map(|unit| [&[u8::try_from(unit.len()).unwrap()][..], unit].concat()).collect();
        prop_assert_eq!(from_lengths(&short.into(), LengthSize::One).unwrap(), data);
    }

    #[test]
    fn emulation_prevention_is_taken_out(raw in prop::collection::vec(0_u8..5, 0..60)) {
        let unit = with_emulation_prevention(&raw);
        let clean = without_emulation_prevention(&unit, usize::MAX);
        prop_assert_eq!(&clean[..], &raw[..]);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(data in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..300), limit in 0_usize..400) {
        let bytes = Bytes::from(data.clone());
        let total: usize = units(&bytes).map_while(Result::ok).map(|unit| unit.len()).sum();
        prop_assert!(total <= data.len());
        prop_assert!(without_emulation_prevention(&data, limit).len() <= limit);
        drop((from_annex_b(&data), to_annex_b(&bytes), from_lengths(&bytes, LengthSize::Two)));
    }
}
