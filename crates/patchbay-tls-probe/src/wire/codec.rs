//! Reading and writing numbers and length-prefixed blocks (RFC 8446, section 3). Reading never goes past the end: it answers none.

/// Reads from the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let bytes: [u8; 2] = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        let &[high, middle, low] = self.take(3)? else { return None };
        Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
    }

    pub(super) fn block8(&mut self) -> Option<Reader<'a>> {
        let length = self.u8()?;
        self.take(length.into()).map(Reader)
    }

    pub(super) fn block16(&mut self) -> Option<Reader<'a>> {
        let length = self.u16()?;
        self.take(length.into()).map(Reader)
    }

    pub(super) fn block24(&mut self) -> Option<Reader<'a>> {
        let length = self.u24()?;
        self.take(length).map(Reader)
    }
}

/// How many bytes a length takes.
#[derive(Clone, Copy)]
pub(super) enum Prefix {
    One,
    Two,
    Three,
}

/// Writes at the end of bytes.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a block with its length before it. What does not fit its length is cut: callers keep their lists far shorter.
    pub(super) fn block(&mut self, prefix: Prefix, content: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        content(&mut inner);
        let longest: usize = match prefix {
            Prefix::One => 0xff,
            Prefix::Two => 0xffff,
            Prefix::Three => 0x00ff_ffff,
        };
        inner.0.truncate(longest);
        let [.., high, middle, low] = inner.0.len().to_be_bytes();
        match prefix {
            Prefix::One => self.u8(low),
            Prefix::Two => self.bytes(&[middle, low]),
            Prefix::Three => self.bytes(&[high, middle, low]),
        }
        self.bytes(&inner.0);
    }

    pub(super) fn list16(&mut self, prefix: Prefix, numbers: &[u16]) {
        self.block(prefix, |list| numbers.iter().for_each(|number| list.u16(*number)));
    }
}
