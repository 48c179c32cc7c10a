//! A fragment: its head, and the units' bytes behind it.

use bytes::{BufMut, Bytes, BytesMut};

/// A `moof` and its `mdat`. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub(crate) head: Bytes,
    pub(crate) data: Vec<Bytes>,
    pub(crate) key: bool,
}

impl Fragment {
    /// The parts of it, in order: the boxes, and then what the units hold, which is shared with them.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> + Clone {
        std::iter::once(&self.head).chain(&self.data)
    }

    /// Bytes of the whole.
    pub fn size(&self) -> usize {
        self.chunks().map(Bytes::len).sum()
    }

    /// Playing can start here: each track begins with a key unit.
    pub fn is_key(&self) -> bool {
        self.key
    }

    /// All of it in one piece, which copies.
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.size());
        self.chunks().for_each(|chunk| whole.put_slice(chunk));
        whole.freeze()
    }
}
