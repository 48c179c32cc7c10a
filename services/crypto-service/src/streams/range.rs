//! The part of a plaintext that is wanted.

use patchbay_crypto::chunked::CHUNK;

/// Counts plaintext as it comes out, and lets through what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Number of the chunk in which it begins.
    first_chunk: u64,
    /// Bytes before it that are left in that chunk.
    skip: usize,
    /// Bytes that are still wanted; `None` is all.
    wanted: Option<u64>,
}

impl Range {
    /// Everything.
    pub(crate) const ALL: Self = Self { first_chunk: 0, skip: 0, wanted: None };

    /// From `offset` on; `length` bytes, or with 0 all to the end.
    pub(crate) fn new(offset: u64, length: u64) -> Self {
        const SIZE: u64 = CHUNK as u64;
        let skip = usize::try_from(offset % SIZE).unwrap_or_default();
        Self { first_chunk: offset / SIZE, skip, wanted: (length > 0).then_some(length) }
    }

    /// Number of the chunk in which it begins.
    pub(super) fn first_chunk(&self) -> u64 {
        self.first_chunk
    }

    /// Whether all that is wanted has come out.
    pub(super) fn is_complete(&self) -> bool {
        self.wanted == Some(0)
    }

    /// Takes from decrypted bytes what is not wanted.
    pub(super) fn trim(&mut self, plaintext: &mut Vec<u8>) {
        let skipped = self.skip.min(plaintext.len());
        self.skip -= skipped;
        plaintext.drain(..skipped);
        let Some(wanted) = &mut self.wanted else { return };
        let given = usize::try_from(*wanted).map_or(plaintext.len(), |most| most.min(plaintext.len()));
        patchbay_crypto::wipe(plaintext.get_mut(given..).unwrap_or_default());
        plaintext.truncate(given);
        *wanted -= given as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_through_what_is_wanted() {
        let mut range = Range::new(2 * CHUNK as u64 + 3, 5);
        assert_eq!(range.first_chunk(), 2);
        let mut first = vec![0, 1, 2, 3, 4];
        range.trim(&mut first);
        assert_eq!((first, range.is_complete()), (vec![3, 4], false));
        let mut second = vec![5, 6, 7, 8];
        range.trim(&mut second);
        assert_eq!((second, range.is_complete()), (vec![5, 6, 7], true));
        let mut all = Range::new(1, 0);
        let mut bytes = vec![0, 1];
        all.trim(&mut bytes);
        assert_eq!((bytes, all.is_complete()), (vec![1], false));
    }
}
