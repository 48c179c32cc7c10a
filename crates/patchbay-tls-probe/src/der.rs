//! A reader of DER that never looks past its end: one value after the other, lengths of up to four bytes, low tag numbers. No tree, no recursion.
//!
//! `ocsp` reads staples with it, and `certificate` the extensions that the library of certificates leaves alone.

/// BOOLEAN, INTEGER and so on: the identifier byte as it is written (X.690 section 8.1.2).
pub(crate) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    /// `[0]` around a primitive value.
    pub(crate) const CONTEXT_0: u8 = 0x80;
    /// `[0]`, `[1]` and `[2]` around others.
    pub(crate) const CONSTRUCTED_0: u8 = 0xa0;
    pub(crate) const CONSTRUCTED_1: u8 = 0xa1;
    pub(crate) const CONSTRUCTED_2: u8 = 0xa2;
    /// `[2]` around a primitive value.
    pub(crate) const CONTEXT_2: u8 = 0x82;
}

/// One value.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With its identifier and length.
    pub(crate) raw: &'a [u8],
}

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is; none at the end, and where what is there is not DER.
    pub(crate) fn any(&mut self) -> Option<Value<'a>> {
        let whole = self.0;
        let (&tag, rest) = whole.split_first()?;
        if tag & 0x1f == 0x1f {
            return None; // a high tag number: nothing that is read here has one
        }
        let (length, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        let raw = whole.get(..whole.len() - rest.len())?;
        self.0 = rest;
        Some(Value { tag, content, raw })
    }

    /// The next value, if it has this tag; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Value<'a>> {
        if *self.0.first()? != tag {
            return None;
        }
        self.any()
    }

    /// Content of the next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.optional(tag).map(|value| value.content)
    }

    /// What is inside of the next value, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(Self)
    }
}

/// A value around this content.
pub(crate) fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => value.push(short),
        _ => {
            let bytes = content.len().to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            value.push(0x80 | u8::try_from(bytes.len()).expect("a length has eight bytes at most"));
            value.extend(bytes);
        }
    }
    value.extend_from_slice(content);
    value
}

/// A definite length in its shortest form (X.690 section 10.1), and what follows it.
fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count)?;
    let length = bytes
        .iter()
        .try_fold(0_usize, |length, byte| length.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    let is_shortest = length >= 0x80 && bytes.first() != Some(&0);
    is_shortest.then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::{Reader, tag, wrapped};

    #[test]
    fn values_are_read_one_after_the_other() {
        let mut reader = Reader(&[0x02, 1, 5, 0x30, 3, 0x02, 1, 6]);
        assert_eq!(reader.expect(tag::INTEGER), Some(&[5][..]));
        assert!(reader.optional(tag::INTEGER).is_none(), "the next is a sequence");
        let mut inner = reader.enter(tag::SEQUENCE).unwrap();
        assert_eq!(inner.any().unwrap().raw, [0x02, 1, 6]);
        assert!(inner.is_empty() && reader.is_empty());
    }

    #[test]
    fn what_is_wrapped_is_read_again() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let value = wrapped(tag::OCTET_STRING, &content);
            let mut reader = Reader(&value);
            assert_eq!(reader.expect(tag::OCTET_STRING), Some(content.as_slice()), "{length}");
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        let bad: [&[u8]; 8] = [
            &[],
            &[2],
            &[2, 2, 1],
            &[2, 0x80, 1],
            &[2, 0x81, 1, 1],
            &[2, 0x85, 0, 0, 0, 0, 1],
            &[0x1f, 1, 1],
            &[2, 0x84, 0xff, 0xff, 0xff, 0xff],
        ];
        for bytes in bad {
            assert!(Reader(bytes).any().is_none(), "{bytes:02x?}");
        }
    }
}
