use super::*;
use proptest::prelude::*;

fn wrapping() -> Vec<u8> {
    (0..32).collect()
}

/// As another implementation has it; RFC 5649 has vectors for keys of 192 bits only.
#[test]
fn a_wrapped_key_is_as_specified() {
    for (key, wrapped) in [
        (b"k".to_vec(), "bb76209b60a5ad5451ef34d3efe91e9d"),
        ((0..20).collect(), "22d7fffc96b7adad9391ac9230d46b810e82e0f101f19e83e358f32ac9d407b6"),
        (
            (0..64).collect(),
            "912cf4e23563209aa7f01800b5bea9d9e10349b27eb975d42b03a27ad7456a2de7bc6a2e582eda5ec5be75767cc55858998d47249e1\
             44e2636ba0e055d4888cabfed72a356cc1f91",
        ),
    ] {
        assert_eq!(hex::encode(wrap(&wrapping(), &key).unwrap()), wrapped);
        assert_eq!(unwrap(&wrapping(), &hex::decode(wrapped).unwrap()).unwrap().into_bytes(), key);
    }
}

#[test]
fn whatever_is_wrong_gives_the_same_error() {
    let wrapped = wrap(&wrapping(), &[7; 33]).unwrap();
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrap(&wrapping(), &changed).unwrap_err(), Error::Decryption, "bit {bit}");
    }
    for length in 0..wrapped.len() {
        assert_eq!(unwrap(&wrapping(), &wrapped[..length]).unwrap_err(), Error::Decryption, "{length}");
    }
    assert_eq!(unwrap(&[9; 32], &wrapped).unwrap_err(), Error::Decryption);
}

#[test]
fn lengths_are_limited() {
    for length in [0, 16, 24, 31, 33] {
        let error = wrap(&vec![1; length], b"key").unwrap_err();
        assert!(error.to_string().contains("32 bytes"), "{error}");
        assert!(matches!(unwrap(&vec![1; length], &[0; 24]), Err(Error::Key(_))));
    }
    assert!(matches!(wrap(&wrapping(), b""), Err(Error::Input(_))));
    assert!(matches!(wrap(&wrapping(), &vec![1; MAX_KEY + 1]), Err(Error::Input(_))));
    let largest = vec![1; MAX_KEY];
    assert_eq!(unwrap(&wrapping(), &wrap(&wrapping(), &largest).unwrap()).unwrap().into_bytes(), largest);
    assert!(matches!(unwrap(&wrapping(), &vec![0; MAX_KEY + 16]), Err(Error::Input(_))));
}

proptest! {
    #[test]
    fn keys_come_back(key in prop::collection::vec(any::<u8>(), 1..600)) {
        let wrapped = wrap(&wrapping(), &key).unwrap();
        prop_assert_eq!(wrapped.len(), key.len().next_multiple_of(8) + 8);
        prop_assert_eq!(unwrap(&wrapping(), &wrapped).unwrap().into_bytes(), key);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(unwrap(&wrapping(), &bytes).unwrap_err(), Error::Decryption);
    }
}
