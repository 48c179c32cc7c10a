//! Unmasking: RFC 6455 section 5.3.

/// A masking key, turned so that its first byte applies to the next byte of the payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MaskKey([u8; 4]);

impl MaskKey {
    pub(crate) const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Unmasks `bytes` in place, eight at a time (the compiler widens that to vectors), and turns
    /// the key for the bytes that follow.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, tail) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
        self.0.rotate_left(tail.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::MaskKey;

    #[test]
    fn any_split_unmasks_alike() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let plain: Vec<u8> = (0..100).collect();
        let expected: Vec<u8> = (plain.iter().zip(key.iter().cycle())).map(|(a, b)| a ^ b).collect();
        for first in 0..plain.len() {
            for second in first..plain.len() {
                let mut bytes = plain.clone();
                let mut mask = MaskKey::new(key);
                mask.apply(&mut bytes[..first]);
                mask.apply(&mut bytes[first..second]);
                mask.apply(&mut bytes[second..]);
                assert_eq!(bytes, expected, "split at {first} and {second}");
            }
        }
    }
}
