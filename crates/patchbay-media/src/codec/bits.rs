//! Reads values of any number of bits, most significant first.

use super::HeaderError;

/// A cursor over bits. Every read is checked; none panics.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// In bits.
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Bits that are left.
    pub const fn remaining(&self) -> usize {
        self.data.len().saturating_mul(8).saturating_sub(self.position)
    }

    /// One bit.
    pub fn flag(&mut self) -> Result<bool, HeaderError> {
        let byte = self.data.get(self.position / 8).ok_or(HeaderError::Truncated)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// An unsigned value of up to 32 bits.
    pub fn bits(&mut self, count: u32) -> Result<u32, HeaderError> {
        if count > 32 {
            return Err(HeaderError::Invalid("a value of more than 32 bits"));
        }
        let mut value = 0_u64;
        let mut left = count;
        while left > 0 {
            let byte = *self.data.get(self.position / 8).ok_or(HeaderError::Truncated)?;
            let offset = u32::try_from(self.position % 8).unwrap_or(0);
            let take = left.min(8 - offset);
            let chunk = u32::from(byte) >> (8 - offset - take) & ((1 << take) - 1);
            value = value << take | u64::from(chunk);
            self.position += usize::try_from(take).unwrap_or(0);
            left -= take;
        }
        u32::try_from(value).map_err(|_| HeaderError::Invalid("a value of more than 32 bits"))
    }

    /// An unsigned value of up to 8 bits.
    pub fn small(&mut self, count: u32) -> Result<u8, HeaderError> {
        u8::try_from(self.bits(count)?).map_err(|_| HeaderError::Invalid("a value of more than 8 bits"))
    }

    /// Leaves bits out.
    pub fn skip(&mut self, count: usize) -> Result<(), HeaderError> {
        if count > self.remaining() {
            return Err(HeaderError::Truncated);
        }
        self.position += count;
        Ok(())
    }

    /// Goes to the next whole byte.
    pub fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    /// `ue(v)`: an unsigned Exp-Golomb value (H.264, 9.1).
    pub fn ue(&mut self) -> Result<u32, HeaderError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(HeaderError::Invalid("an Exp-Golomb value of more than 32 bits"));
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// `ue(v)` that may be at most `limit`.
    pub fn ue_max(&mut self, limit: u32, what: &'static str) -> Result<u32, HeaderError> {
        let value = self.ue()?;
        if value > limit { Err(HeaderError::Invalid(what)) } else { Ok(value) }
    }

    /// `se(v)`: a signed Exp-Golomb value (H.264, 9.1.1).
    pub fn se(&mut self) -> Result<i32, HeaderError> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 };
        i32::try_from(value).map_err(|_| HeaderError::Invalid("an Exp-Golomb value of more than 32 bits"))
    }

    /// Leaves out a `uvlc()` (AV1, 4.10.3), which may have more leading zeros than a value has bits.
    pub fn skip_uvlc(&mut self) -> Result<(), HeaderError> {
        let mut zeros = 0_usize;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros < 32 { self.skip(zeros) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes bits one after another, slowly and plainly.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn push(&mut self, value: u64, count: u32) {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        }
        fn ue(&mut self, value: u32) {
            let code = u64::from(value) + 1;
            let length = 64 - code.leading_zeros();
            self.push(0, length - 1);
            self.push(code, length);
        }
        fn bytes(&self) -> Vec<u8> {
            self.0
                .chunks(8)
                .map(|bits| bits.iter().zip((0..8).rev()).map(|(bit, by)| u8::from(*bit) << by).sum())
                .collect()
        }
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec((any::<u32>(), 0_u32..=32), 0..40)) {
            let mut bits = Bits::default();
            for (value, count) in &values {
                bits.push(u64::from(*value), *count);
            }
            let bytes = bits.bytes();
            let mut reader = BitReader::new(&bytes);
            for (value, count) in values {
                let mask = u32::try_from((1_u64 << count) - 1).unwrap();
                prop_assert_eq!(reader.bits(count).unwrap(), value & mask);
            }
        }

        #[test]
        fn golomb_values_come_back(values in prop::collection::vec(0_u32..u32::MAX, 0..40)) {
            let mut bits = Bits::default();
            for value in &values {
                bits.ue(*value);
            }
            let bytes = bits.bytes();
            let (mut unsigned, mut signed) = (BitReader::new(&bytes), BitReader::new(&bytes));
            for value in values {
                prop_assert_eq!(unsigned.ue().unwrap(), value);
                let half = i32::try_from(value.div_ceil(2)).unwrap();
                prop_assert_eq!(signed.se().unwrap(), if value % 2 == 0 { -half } else { half });
            }
        }

        #[test]
        fn any_reads_of_any_bytes_end(data in prop::collection::vec(any::<u8>(), 0..64), reads in prop::collection::vec((0_u8..6, any::<u32>()), 0..200)) {
            let mut reader = BitReader::new(&data);
            for (kind, count) in reads {
                let read = match kind {
                    0 => reader.bits(count % 40).err(),
                    1 => reader.ue().err(),
                    2 => reader.se().err(),
                    3 => reader.skip(count as usize).err(),
                    4 => reader.skip_uvlc().err(),
                    _ => reader.flag().err(),
                };
                prop_assert!(read.is_none_or(|error| !error.to_string().is_empty()));
                prop_assert!(reader.position() <= data.len() * 8);
            }
        }
    }
}
