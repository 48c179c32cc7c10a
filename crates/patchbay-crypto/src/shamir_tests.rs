use super::*;
use proptest::prelude::*;

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

/// FIPS 197, section 4.2, and the field's own laws over all of its elements.
#[test]
fn the_field_is_that_of_aes() {
    assert_eq!(multiply(0x57, 0x83), 0xc1);
    assert_eq!(multiply(0x57, 0x13), 0xfe);
    assert_eq!(invert(0x53), 0xca);
    for a in 1..=255 {
        assert_eq!(multiply(a, invert(a)), 1, "{a}");
        assert_eq!(multiply(a, 1), a);
        assert_eq!(multiply(a, 0), 0);
        for b in 0..=255 {
            assert_eq!(multiply(a, b), multiply(b, a));
        }
    }
}

/// Worked by hand: 0x42 + 0x17 x at 1, 2 and 3.
#[test]
fn shares_are_values_of_the_polynomial() {
    let values: Vec<_> =
        (1..=3).map(|at| evaluate(&secret(&[0x42]), &[secret(&[0x17])], at).into_bytes()).collect();
    assert_eq!(values, [vec![0x42 ^ 0x17], vec![0x42 ^ 0x2e], vec![0x42 ^ 0x17 ^ 0x2e]]);
}

#[test]
fn every_pair_of_the_smallest_sizes_comes_back() {
    let secret = Secret::random(32).unwrap();
    for total in 1..=6 {
        for threshold in if total == 1 { 1..=1 } else { 2..=total } {
            let shares = split(&secret, total, threshold).unwrap();
            for mask in 0_u32..1 << total {
                let chosen: Vec<_> =
                    shares.iter().filter(|share| mask >> (share.index() - 1) & 1 == 1).cloned().collect();
                let combined = combine(&chosen);
                if chosen.len() >= usize::from(threshold) {
                    assert_eq!(combined.unwrap(), secret, "{threshold} of {total}, {mask:b}");
                } else {
                    assert!(matches!(combined, Err(Error::Input(_))), "{threshold} of {total}, {mask:b}");
                }
            }
        }
    }
}

/// With one share less than is needed, each secret of a byte is that of exactly one further share: nothing is known.
#[test]
fn one_share_less_fits_every_secret() {
    let shares = split(&secret(&[0x5a]), 3, 3).unwrap();
    let mut found = BTreeSet::new();
    for guess in 0..=255 {
        let mut third = shares[2].clone();
        third.data = secret(&[guess]);
        found.insert(combine(&[shares[0].clone(), shares[1].clone(), third]).unwrap().into_bytes());
    }
    assert_eq!(found.len(), 256);
}

/// The bytes of a share are as if random, whatever the secret is: over 25,600 of them, each value comes between 40 and 180 times (100 are
/// expected, and six standard deviations are 60).
#[test]
fn a_share_looks_random() {
    let mut counts = [0_u32; 256];
    for _ in 0..25 {
        let shares = split(&secret(&[0; 1024]), 2, 2).unwrap();
        for byte in shares[0].data.expose() {
            counts[usize::from(*byte)] += 1;
        }
    }
    assert!(counts.iter().all(|count| (40..=180).contains(count)), "{counts:?}");
}

#[test]
fn a_text_comes_back_and_is_forgiving_at_its_ends() {
    let shares = split(&Secret::random(32).unwrap(), 5, 3).unwrap();
    for share in &shares {
        let text = share.to_text();
        assert!(text.starts_with("pbs1-"));
        assert_eq!(text.len(), 5 + 2 * (7 + 32 + 4));
        assert_eq!(&Share::parse(&text).unwrap(), share);
        assert_eq!(&Share::parse(&format!("  {}\n", text.to_uppercase())).unwrap(), share);
        assert_eq!((share.threshold(), share.total(), share.secret_length()), (3, 5, 32));
        assert_eq!(share.set(), shares[0].set());
        assert_eq!(format!("{share:?}"), format!("Share {{ index: {}, .. }}", share.index()));
    }
}

#[test]
fn a_mistyped_share_is_told_at_once() {
    let text = split(&Secret::random(16).unwrap(), 3, 2).unwrap()[0].to_text();
    for at in PREFIX.len()..text.len() {
        for digit in "0123456789abcdef".chars().filter(|digit| !text[at..].starts_with(*digit)) {
            let mistyped = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            let error = Share::parse(&mistyped).unwrap_err().to_string();
            assert!(error.contains("checksum"), "{at}: {error}");
        }
        let swapped = format!("{}{}{}", &text[..at], text[at..].chars().rev().collect::<String>(), "");
        assert!(swapped == *text || Share::parse(&swapped).is_err());
        assert!(Share::parse(&text[..at]).is_err(), "cut at {at}");
    }
    for (wrong, says) in [
        ("", "begins with"),
        ("pbs2-00", "begins with"),
        ("pbs1-", "cut"),
        ("pbs1-0g", "pairs"),
        ("pbs1-012", "pairs"),
        ("pbs1-0102030405", "checksum"),
    ] {
        let error = Share::parse(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{wrong}: {error}");
    }
    let long = format!("pbs1-{}", "00".repeat(MAX_SECRET + 64));
    assert!(Share::parse(&long).unwrap_err().to_string().contains("at most"));
}

#[test]
fn a_share_that_contradicts_itself_is_refused() {
    for (index, threshold, total, data) in
        [(0, 2, 3, 1), (4, 2, 3, 1), (1, 0, 3, 1), (1, 1, 3, 1), (1, 4, 3, 1), (1, 2, 3, 0), (0, 0, 0, 0)]
    {
        let share = Share { set: [1; 4], index, threshold, total, data: Secret::new(vec![7; data]) };
        let error = Share::parse(&share.to_text()).unwrap_err().to_string();
        assert!(error.contains("contradicts"), "{index} {threshold} {total} {data}: {error}");
    }
}

#[test]
fn shares_that_do_not_go_together_are_refused() {
    let of = |length| split(&Secret::random(length).unwrap(), 4, 2).unwrap();
    let (one, other, shorter) = (of(32), of(32), of(31));
    let says = |shares: &[&Share], words: &str| {
        let shares: Vec<_> = shares.iter().map(|share| (*share).clone()).collect();
        let error = combine(&shares).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    says(&[], "no share");
    says(&[&one[0]], "1 more of the 2");
    says(&[&one[0], &one[0]], "twice");
    says(&[&one[0], &other[1]], "different sets");
    says(&[&one[0], &shorter[1]], "different sets");
    let mut forged = one[2].clone();
    forged.data.0[0] ^= 1;
    says(&[&one[0], &one[1], &forged], "do not fit");
    says(&[&forged, &one[1], &one[0]], "do not fit");
}

#[test]
fn counts_and_lengths_that_make_no_sense_are_refused() {
    let secret = Secret::random(32).unwrap();
    for (shares, threshold) in [(0, 0), (0, 1), (1, 0), (2, 1), (5, 1), (5, 0), (2, 3), (255, 1)] {
        assert!(matches!(split(&secret, shares, threshold), Err(Error::Input(_))), "{threshold} of {shares}");
    }
    for length in [0, MAX_SECRET + 1] {
        assert!(matches!(split(&Secret::new(vec![1; length]), 3, 2), Err(Error::Input(_))), "{length}");
    }
    let shares = split(&Secret::new(vec![9; MAX_SECRET]), 255, 255).unwrap();
    let read: Vec<_> = shares.iter().map(|share| Share::parse(&share.to_text()).unwrap()).collect();
    assert_eq!(combine(&read).unwrap().into_bytes(), vec![9; MAX_SECRET]);
}

proptest! {
    #[test]
    fn any_shares_that_are_enough_give_the_secret(
        bytes in prop::collection::vec(any::<u8>(), 1..80),
        (total, threshold) in (2_u8..40).prop_flat_map(|total| (Just(total), 2..=total)),
        order in any::<u64>(),
    ) {
        let mut shares = split(&secret(&bytes), total, threshold).unwrap();
        shares.sort_by_key(|share| (order.rotate_left(u32::from(share.index()))) ^ u64::from(share.index()));
        shares.truncate(usize::from(threshold));
        prop_assert_eq!(combine(&shares).unwrap().into_bytes(), bytes);
        shares.pop();
        prop_assert!(combine(&shares).is_err());
    }

    /// Shares that pass for enough because they lie about the threshold give something that is not the secret.
    #[test]
    fn too_few_shares_give_another_secret(bytes in prop::collection::vec(any::<u8>(), 16..40), total in 3_u8..20) {
        let mut shares = split(&secret(&bytes), total, 3).unwrap();
        shares.truncate(2);
        for share in &mut shares {
            share.threshold = 2;
        }
        prop_assert_ne!(combine(&shares).unwrap().into_bytes(), bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(pbs1-)?[0-9a-fA-F]{0,200}|\\PC{0,60}") {
        prop_assert!(Share::parse(&text).is_err());
    }
}
