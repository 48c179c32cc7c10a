//! H.264 (RFC 6184, packetization-mode 1) and H.265 (RFC 7798): NAL units alone, several in one packet, or one in fragments.

use super::{Builder, PacketizeError};
use crate::Codec;

/// Which of the two; they differ in their NAL header and the numbers of their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    H264,
    H265,
}

/// STAP-A: aggregation of H.264 (RFC 6184, section 5.7.1).
const STAP_A: u8 = 24;
/// FU-A: fragment of H.264 (section 5.8).
const FU_A: u8 = 28;
/// AP: aggregation of H.265 (RFC 7798, section 4.4.2).
const AP: u8 = 48;
/// FU: fragment of H.265 (section 4.4.3).
const FU: u8 = 49;
/// Bits of a fragment's header: the first and the last one.
const FIRST: u8 = 0x80;
const LAST: u8 = 0x40;

/// Cuts an access unit of length-prefixed NAL units. Neighbours that fit into one packet share it: parameter sets with each other, and small slices.
pub(super) fn cut(family: Family, unit: &[u8], out: &mut Builder) -> Result<(), PacketizeError> {
    let mut waiting = Vec::new();
    let mut size = family.header_len();
    let mut rest = unit;
    while !rest.is_empty() {
        let malformed = PacketizeError::Malformed { codec: family.codec(), at: unit.len() - rest.len() };
        let (nal, behind) = split(rest).ok_or(malformed)?;
        rest = behind;
        if family.is_left_out(nal).ok_or(malformed)? {
            continue;
        }
        if size + 2 + nal.len() > out.limit {
            flush(family, &mut waiting, out);
            size = family.header_len();
        }
        size += 2 + nal.len();
        waiting.push(nal);
    }
    flush(family, &mut waiting, out);
    Ok(())
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn flush(family: Family, waiting: &mut Vec<&[u8]>, out: &mut Builder) {
    match waiting.as_slice() {
        [] => {}
        [nal] if nal.len() > out.limit => fragment(family, nal, out),
        [nal] => {
            out.put(nal);
            out.end();
        }
        nals => aggregate(family, nals, out),
    }
    waiting.clear();
}

fn aggregate(family: Family, nals: &[&[u8]], out: &mut Builder) {
    match family {
        Family::H264 => out.put(&[stap_header(nals)]),
        Family::H265 => out.put(&ap_header(nals)),
    }
    for nal in nals {
        let length = u16::try_from(nal.len()).expect("what is aggregated fits into a packet");
        out.put(&length.to_be_bytes());
        out.put(nal);
    }
    out.end();
}

/// The importance of an aggregation is that of its most important part.
fn stap_header(nals: &[&[u8]]) -> u8 {
    let importance = nals.iter().filter_map(|nal| nal.first()).map(|first| first & 0x60).max();
    importance.unwrap_or(0) | STAP_A
}

/// The layer and temporal id of an aggregation are the lowest of its parts.
fn ap_header(nals: &[&[u8]]) -> [u8; 2] {
    let headers =
        || nals.iter().filter_map(|nal| nal.first_chunk()).map(|header| u16::from_be_bytes(*header));
    let layer = headers().map(|header| header & 0x01F8).min().unwrap_or(0);
    let temporal = headers().map(|header| header & 7).min().unwrap_or(1);
    (u16::from(AP) << 9 | layer | temporal).to_be_bytes()
}

fn fragment(family: Family, nal: &[u8], out: &mut Builder) {
    let Some((header, body)) = nal.split_at_checked(family.header_len()) else { return };
    let room = out.limit - family.header_len() - 1;
    let mut chunks = body.chunks(room).peekable();
    let mut position = FIRST;
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            position = LAST;
        }
        match (family, header) {
            (Family::H264, &[first]) => out.put(&[(first & 0xE0) | FU_A, position | (first & 0x1F)]),
            (Family::H265, &[first, second]) => {
                out.put(&[(first & 0x81) | FU << 1, second, position | (first >> 1 & 0x3F)]);
            }
            _ => return,
        }
        out.put(chunk);
        out.end();
        position = 0;
    }
}

impl Family {
    const fn header_len(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }

    const fn codec(self) -> Codec {
        match self {
            Self::H264 => Codec::H264,
            Self::H265 => Codec::H265,
        }
    }

    /// Whether the NAL unit is a delimiter or filler, which RTP does not carry; `None` where it is no NAL unit.
    fn is_left_out(self, nal: &[u8]) -> Option<bool> {
        match (self, nal) {
            (Self::H264, &[first, ..]) => match (first & 0x80, first & 0x1F) {
                (0, kind @ 1..=23) => Some(matches!(kind, 9 | 12)),
                _ => None,
            },
            (Self::H265, &[first, second, ..]) => match (first & 0x80, first >> 1 & 0x3F, second & 7) {
                (0, kind @ 0..=47, 1..) => Some(matches!(kind, 35 | 38)),
                _ => None,
            },
            _ => None,
        }
    }
}
