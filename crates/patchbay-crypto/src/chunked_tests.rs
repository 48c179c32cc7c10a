use super::*;
use proptest::prelude::*;

fn key() -> Key {
    Key::new(Algorithm::Cobblestone256, &[7; 32]).unwrap()
}

fn encrypt(key: &Key, context: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let (prefix, message) = key.begin(context).unwrap();
    let mut sealed = prefix.to_vec();
    let mut encryptor = Encryptor::new(message);
    for piece in pieces {
        let expected = sealed.len() + encryptor.output_len(piece.len());
        encryptor.update(piece, &mut sealed).unwrap();
        assert_eq!(sealed.len(), expected);
    }
    encryptor.finish(&mut sealed).unwrap();
    sealed
}

fn decrypt(key: &Key, context: &[u8], sealed: &[u8], step: usize) -> Result<Vec<u8>, Error> {
    let (prefix, chunks) = sealed.split_first_chunk().ok_or(Error::Decryption)?;
    let mut decryptor = Decryptor::new(key.open(prefix, context)?, 0);
    let mut plain = Vec::new();
    for piece in chunks.chunks(step) {
        decryptor.update(piece, &mut plain)?;
    }
    decryptor.finish(&mut plain)?;
    Ok(plain)
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[test]
fn sizes_around_a_chunk_come_back() {
    let key = key();
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
        let plain = message(length);
        let sealed = encrypt(&key, b"context", &[&plain]);
        assert_eq!(sealed.len(), PREFIX + length + (length / CHUNK + 1) * TAG);
        assert_eq!(decrypt(&key, b"context", &sealed, 1 << 20).unwrap(), plain, "{length}");
        assert_eq!(decrypt(&key, b"other", &sealed, 1 << 20), Err(Error::Decryption));
    }
}

#[test]
fn what_is_cut_off_moved_doubled_or_added_is_refused() {
    let key = key();
    let sealed = encrypt(&key, b"", &[&message(3 * CHUNK + 9)]);
    let chunk = |number: usize| PREFIX + number * SEALED_CHUNK..PREFIX + (number + 1) * SEALED_CHUNK;
    for length in [0, 10, PREFIX, PREFIX + SEALED_CHUNK, PREFIX + 3 * SEALED_CHUNK, sealed.len() - 1] {
        assert_eq!(decrypt(&key, b"", &sealed[..length], 999), Err(Error::Decryption), "cut at {length}");
    }
    let mut swapped = sealed[..PREFIX].to_vec();
    swapped.extend_from_slice(&sealed[chunk(1)]);
    swapped.extend_from_slice(&sealed[chunk(0)]);
    swapped.extend_from_slice(&sealed[chunk(2).start..]);
    assert_eq!(decrypt(&key, b"", &swapped, 4096), Err(Error::Decryption));
    let mut doubled = sealed[..chunk(0).end].to_vec();
    doubled.extend_from_slice(&sealed[chunk(0).start..]);
    assert_eq!(decrypt(&key, b"", &doubled, 4096), Err(Error::Decryption));
    let trailing = [&sealed[..], &[0]].concat();
    assert_eq!(decrypt(&key, b"", &trailing, 4096), Err(Error::Decryption));
}

#[test]
fn no_byte_may_change() {
    let key = key();
    let sealed = encrypt(&key, b"", &[b"abc"]);
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert_eq!(decrypt(&key, b"", &changed, 1), Err(Error::Decryption), "{index}");
    }
}

#[test]
fn any_chunk_can_be_the_first() {
    let key = key();
    let plain = message(5 * CHUNK + 100);
    let sealed = encrypt(&key, b"", &[&plain]);
    for first in 0..6 {
        let message = key.open(sealed.first_chunk().unwrap(), b"").unwrap();
        let mut decryptor = Decryptor::new(message, first as u64);
        let mut found = Vec::new();
        decryptor.update(&sealed[PREFIX + first * SEALED_CHUNK..], &mut found).unwrap();
        decryptor.finish(&mut found).unwrap();
        assert_eq!(found, plain[first * CHUNK..]);
    }
}

#[test]
fn the_counter_ends() {
    let (_, message) = key().begin(b"").unwrap();
    assert!(message.nonce(MAX_CHUNKS - 1).is_ok());
    assert!(matches!(message.nonce(MAX_CHUNKS), Err(Error::Input(_))));
}

#[test]
fn keys_have_their_length() {
    assert!(matches!(Key::new(Algorithm::Cobblestone128, &[0; 32]), Err(Error::Key(_))));
    assert!(matches!(Key::new(Algorithm::Cobblestone256, &[0; 16]), Err(Error::Key(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_of_any_size_make_the_same(lengths in proptest::collection::vec(0_usize..40_000, 0..6), step in 1_usize..50_000) {
        let key = key();
        let pieces: Vec<Vec<u8>> = lengths.iter().map(|length| message(*length)).collect();
        let borrowed: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let sealed = encrypt(&key, b"c", &borrowed);
        prop_assert_eq!(decrypt(&key, b"c", &sealed, step).unwrap(), pieces.concat());
    }
}
