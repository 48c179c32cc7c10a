//! Feedback on the arrival of packets: draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1.
//!
//! Read where it lies. What it costs to read follows from its bytes, not from the numbers in it: what did not arrive is passed over as a run.

/// Microseconds of a step of the reference time and of a step of the times between arrivals.
const REFERENCE: i64 = 64_000;
const STEP: i64 = 250;

/// Bytes in front of the chunks: two SSRCs, first number, count, reference time, number of the feedback.
const HEADER: usize = 16;

/// One report of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feedback<'a> {
    /// Number of the first packet that it speaks of.
    pub(crate) first: u16,
    /// Packets that it speaks of.
    pub(crate) count: u16,
    /// On the receiver's clock, in steps of 64 ms, 24 bits.
    pub(crate) reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// A run of packets with the same fate.
#[derive(Clone, Copy)]
enum Symbol {
    Missing,
    Small,
    Large,
}

impl<'a> Feedback<'a> {
    /// From the body of its packet of RTCP.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let (header, rest) = body.split_first_chunk::<HEADER>()?;
        let [.., f0, f1, c0, c1, r0, r1, r2, _] = *header;
        let count = u16::from_be_bytes([c0, c1]);
        let mut feedback = Self {
            first: u16::from_be_bytes([f0, f1]),
            count,
            reference: u32::from_be_bytes([0, r0, r1, r2]),
            chunks: rest,
            deltas: &[],
        };
        let (mut left, mut length) = (usize::from(count), 0);
        for chunk in rest.chunks_exact(2) {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(symbols(chunk));
            length += 2;
        }
        (feedback.chunks, feedback.deltas) = rest.split_at_checked(length)?;
        (left == 0 && count > 0).then_some(feedback)
    }

    /// Tells of each packet that has arrived its number and when, in microseconds since the reference time. Ends where it is broken.
    pub(crate) fn arrivals(&self, mut each: impl FnMut(u16, i64)) {
        let mut reader = Reader { number: self.first, left: self.count, at: 0, deltas: self.deltas };
        for chunk in self.chunks.chunks_exact(2) {
            if reader.chunk(chunk, &mut each).is_none() {
                return;
            }
        }
    }
}

/// Microseconds between two reference times, across the wrap.
pub(crate) fn between(earlier: u32, later: u32) -> i64 {
    let steps = (later.wrapping_sub(earlier) << 8).cast_signed() >> 8;
    i64::from(steps) * REFERENCE
}

/// Packets of which a chunk speaks.
fn symbols(chunk: &[u8]) -> usize {
    match value(chunk) {
        run if run & 0x8000 == 0 => usize::from(run & 0x1fff).max(1),
        bits if bits & 0x4000 == 0 => 14,
        _ => 7,
    }
}

fn value(chunk: &[u8]) -> u16 {
    chunk.first_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

struct Reader<'a> {
    number: u16,
    left: u16,
    at: i64,
    deltas: &'a [u8],
}

impl Reader<'_> {
    fn chunk(&mut self, chunk: &[u8], each: &mut impl FnMut(u16, i64)) -> Option<()> {
        let bits = value(chunk);
        if bits & 0x8000 == 0 {
            return self.run(symbol((bits >> 13) & 3), bits & 0x1fff, each);
        }
        if bits & 0x4000 == 0 {
            return (0..14).rev().try_for_each(|bit| self.run(symbol((bits >> bit) & 1), 1, each));
        }
        (0..7).rev().try_for_each(|pair| self.run(symbol((bits >> (2 * pair)) & 3), 1, each))
    }

    fn run(&mut self, symbol: Symbol, length: u16, each: &mut impl FnMut(u16, i64)) -> Option<()> {
        let length = length.min(self.left);
        self.left -= length;
        if matches!(symbol, Symbol::Missing) {
            self.number = self.number.wrapping_add(length);
            return Some(());
        }
        for _ in 0..length {
            self.at += self.delta(symbol)? * STEP;
            each(self.number, self.at);
            self.number = self.number.wrapping_add(1);
        }
        Some(())
    }

    fn delta(&mut self, symbol: Symbol) -> Option<i64> {
        if let Symbol::Large = symbol {
            let (bytes, rest) = self.deltas.split_first_chunk::<2>()?;
            self.deltas = rest;
            return Some(i64::from(i16::from_be_bytes(*bytes)));
        }
        let (byte, rest) = self.deltas.split_first()?;
        self.deltas = rest;
        Some(i64::from(*byte))
    }
}

fn symbol(bits: u16) -> Symbol {
    match bits {
        1 => Symbol::Small,
        2 => Symbol::Large,
        // 3 is reserved.
        _ => Symbol::Missing,
    }
}

#[cfg(test)]
#[path = "feedback_tests.rs"]
mod tests;
