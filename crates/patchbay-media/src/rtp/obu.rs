//! Open bitstream units (AV1 bitstream specification, section 5.3), as far as packets need them.

/// `OBU_SEQUENCE_HEADER`.
pub(super) const SEQUENCE_HEADER: u8 = 1;
/// `OBU_TEMPORAL_DELIMITER`, `OBU_TILE_LIST` and `OBU_PADDING`: packets do not carry them.
const LEFT_OUT: [u8; 3] = [2, 8, 15];
/// The header's bits.
const FORBIDDEN: u8 = 0x80;
const EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// One unit: its header without the size field, and what is behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obu<'a> {
    first: u8,
    extension: Option<u8>,
    pub(super) body: &'a [u8],
}

impl<'a> Obu<'a> {
    pub(super) fn kind(&self) -> u8 {
        self.first >> 3 & 0x0F
    }

    pub(super) fn is_left_out(&self) -> bool {
        LEFT_OUT.contains(&self.kind())
    }

    /// Header bytes without a size field, and how many of them there are.
    pub(super) fn header(&self) -> ([u8; 2], usize) {
        let first = self.first & !HAS_SIZE;
        self.extension.map_or(([first, 0], 1), |extension| ([first, extension], 2))
    }

    /// Of a frame or its header, whether it says key frame, shown, and none that is shown again (section 5.9.2); `None` for everything else.
    pub(super) fn frame_is_key(&self) -> Option<bool> {
        const FRAME_HEADER: u8 = 3;
        const FRAME: u8 = 6;
        let is_frame = matches!(self.kind(), FRAME_HEADER | FRAME);
        is_frame.then(|| self.body.first().is_some_and(|first| first & 0xF0 == 0x10))
    }

    /// Writes it with a size field.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.first | HAS_SIZE);
        out.extend(self.extension);
        put_length(self.body.len(), out);
        out.extend_from_slice(self.body);
    }

    /// Reads the header; `body` is all that is behind it, its size field too where it has one.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&first, body) = bytes.split_first().filter(|(first, _)| *first & FORBIDDEN == 0)?;
        if first & EXTENSION == 0 {
            return Some(Self { first, extension: None, body });
        }
        let (&extension, body) = body.split_first()?;
        Some(Self { first, extension: Some(extension), body })
    }
}

/// The first unit of a temporal unit in which each has a size field, and what is behind it.
pub(super) fn split(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let obu = Obu::read(bytes).filter(|obu| obu.first & HAS_SIZE != 0)?;
    let (length, rest) = take_length(obu.body)?;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((Obu { body, ..obu }, rest))
}

/// The one unit that `bytes` hold, with a size field or without.
pub(super) fn whole(bytes: &[u8]) -> Option<Obu<'_>> {
    let obu = Obu::read(bytes)?;
    if obu.first & HAS_SIZE == 0 {
        return Some(obu);
    }
    let (length, body) = take_length(obu.body)?;
    (body.len() == length).then_some(Obu { body, ..obu })
}

/// A length in LEB128 (section 4.10.5), at most 32 bits of it, and what is behind it.
pub(super) fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for shift in (0..56).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, rest));
        }
    }
    None
}

/// Writes a length in as few bytes as it needs.
pub(super) fn put_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}
