//! RTCP (RFC 3550, RFC 4585, RFC 5104): what peers report and ask for, and what is told to them.
//!
//! Packets are read where they lie and written to the end of a buffer. What is broken ends the reading of the compound packet; what is not known is passed over.

use crate::congestion::Feedback;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from the epoch of NTP, 1900, to that of Unix.
const NTP_OFFSET: u64 = 2_208_988_800;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// One thing that a peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// How our packets arrive (RFC 3550, section 6.4.1).
    Reception(Reception),
    /// What the peer has sent (RFC 3550, section 6.4.1).
    Sent(SenderInfo),
    /// Packets that did not arrive (RFC 4585, section 6.2.1).
    Missing { ssrc: u32, sequences: Missing },
    /// A key frame is needed (RFC 4585, section 6.3.1; RFC 5104, section 4.3.1).
    KeyFrame { ssrc: u32 },
    /// A source ends (RFC 3550, section 6.6).
    Goodbye { ssrc: u32 },
    /// Which packets have arrived, and when.
    Arrivals(Feedback<'a>),
    /// What the peer can take, in bits a second (draft-alvestrand-rmcat-remb-03, section 2.2).
    Most(u64),
}

/// A report block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reception {
    /// Whose packets.
    pub(crate) ssrc: u32,
    /// Part that was lost since the last report, of 256.
    pub(crate) fraction_lost: u8,
    /// Lost since the start; negative when there were doubles.
    pub(crate) lost: i32,
    /// Highest sequence number seen, with the count of wraps above.
    pub(crate) highest: u32,
    /// Mean deviation of the transit time, in ticks.
    pub(crate) jitter: u32,
    /// Middle of the NTP time of our last sender report; 0 when there was none.
    pub(crate) last_report: u32,
    /// Time between that report's arrival and this one, in units of 1/65536 s.
    pub(crate) delay: u32,
}

/// What a sender report says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderInfo {
    pub(crate) ssrc: u32,
    /// Time of day, NTP format.
    pub(crate) ntp: u64,
    /// The same moment on the clock of the RTP time stamps.
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
}

/// Sequence numbers: one, and a mask for the 16 that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) first: u16,
    pub(crate) following: u16,
}

impl Missing {
    pub(crate) fn sequences(self) -> impl Iterator<Item = u16> {
        let following = (0_u16..16).filter(move |bit| self.following & (1 << bit) != 0);
        std::iter::once(self.first).chain(following.map(move |bit| self.first.wrapping_add(bit + 1)))
    }
}

/// True for RTCP among the packets of SRTP (RFC 5761, section 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Reads a compound packet.
pub(crate) fn read<'a>(mut compound: &'a [u8], mut said: impl FnMut(Said<'a>)) {
    while let Some((packet, rest)) = split(compound) {
        packet.read(&mut said);
        compound = rest;
    }
}

struct Packet<'a> {
    kind: u8,
    /// Count, or format of feedback.
    count: u8,
    body: &'a [u8],
}

fn split(compound: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let ([first, kind, high, low], rest) = compound.split_first_chunk::<4>()?;
    if first >> 6 != 2 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*high, *low])) * 4;
    let (body, rest) = rest.split_at_checked(length)?;
    Some((Packet { kind: *kind, count: first & 0x1f, body }, rest))
}

impl<'a> Packet<'a> {
    fn read(&self, said: &mut impl FnMut(Said<'a>)) {
        // Broken bodies yield what could be read of them.
        let _complete = match self.kind {
            SENDER_REPORT => self.sender_report(said),
            RECEIVER_REPORT => self.blocks(4, said),
            GOODBYE => self.goodbye(said),
            TRANSPORT_FEEDBACK if self.count == 1 => self.missing(said),
            TRANSPORT_FEEDBACK if self.count == 15 => self.arrivals(said),
            PAYLOAD_FEEDBACK if self.count == 15 => self.most(said),
            PAYLOAD_FEEDBACK if self.count == 1 => self.picture_loss(said),
            PAYLOAD_FEEDBACK if self.count == 4 => self.full_intra(said),
            _ => Some(()),
        };
    }

    fn sender_report(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        said(Said::Sent(SenderInfo {
            ssrc: number(self.body, 0)?,
            ntp: (u64::from(number(self.body, 4)?) << 32) | u64::from(number(self.body, 8)?),
            timestamp: number(self.body, 12)?,
            packets: number(self.body, 16)?,
            bytes: number(self.body, 20)?,
        }));
        self.blocks(24, said)
    }

    fn blocks(&self, start: usize, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        for block in 0..usize::from(self.count) {
            let at = start + block * 24;
            let losses = number(self.body, at + 4)?;
            let [fraction_lost, ..] = losses.to_be_bytes();
            said(Said::Reception(Reception {
                ssrc: number(self.body, at)?,
                fraction_lost,
                // 24 bits with a sign.
                lost: (losses << 8).cast_signed() >> 8,
                highest: number(self.body, at + 8)?,
                jitter: number(self.body, at + 12)?,
                last_report: number(self.body, at + 16)?,
                delay: number(self.body, at + 20)?,
            }));
        }
        Some(())
    }

    fn goodbye(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        for source in 0..usize::from(self.count) {
            said(Said::Goodbye { ssrc: number(self.body, source * 4)? });
        }
        Some(())
    }

    fn missing(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        let ssrc = number(self.body, 4)?;
        for entry in self.body.get(8..)?.chunks_exact(4) {
            let [first, second, third, fourth] = *entry.first_chunk::<4>()?;
            let sequences = Missing {
                first: u16::from_be_bytes([first, second]),
                following: u16::from_be_bytes([third, fourth]),
            };
            said(Said::Missing { ssrc, sequences });
        }
        Some(())
    }

    fn arrivals(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        said(Said::Arrivals(Feedback::read(self.body)?));
        Some(())
    }

    /// Six bits of exponent and 18 of mantissa, after the name and the count of sources.
    fn most(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        if self.body.get(8..12)? != b"REMB" {
            return Some(());
        }
        let number = number(self.body, 12)?;
        let (exponent, mantissa) = ((number >> 18) & 0x3f, number & 0x3_ffff);
        let bits = u128::from(mantissa) << exponent;
        said(Said::Most(u64::try_from(bits).unwrap_or(u64::MAX)));
        Some(())
    }

    fn picture_loss(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        said(Said::KeyFrame { ssrc: number(self.body, 4)? });
        Some(())
    }

    fn full_intra(&self, said: &mut impl FnMut(Said<'a>)) -> Option<()> {
        for entry in self.body.get(8..)?.chunks_exact(8) {
            said(Said::KeyFrame { ssrc: number(entry, 0)? });
        }
        Some(())
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Time of day in the format of NTP: seconds above, fractions below.
pub(crate) fn ntp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs().wrapping_add(NTP_OFFSET) << 32) | fraction
}

/// The middle 32 bits of an NTP time, as reports carry it.
pub(crate) fn middle(ntp: u64) -> u32 {
    let [_, _, a, b, c, d, _, _] = ntp.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Time of units of 1/65536 s.
pub(crate) fn short_time(units: u32) -> Duration {
    Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536)
}

/// Writes packets one behind the other into a compound packet.
pub(crate) struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer }
    }

    pub(crate) fn sender_report(&mut self, info: &SenderInfo) -> &mut Self {
        self.packet(SENDER_REPORT, 0, |body| {
            body.extend_from_slice(&info.ssrc.to_be_bytes());
            body.extend_from_slice(&info.ntp.to_be_bytes());
            for value in [info.timestamp, info.packets, info.bytes] {
                body.extend_from_slice(&value.to_be_bytes());
            }
        })
    }

    /// At most 31 blocks are written.
    pub(crate) fn receiver_report(&mut self, ssrc: u32, blocks: &[Reception]) -> &mut Self {
        let blocks = blocks.get(..31).unwrap_or(blocks);
        let count = u8::try_from(blocks.len()).unwrap_or(31);
        self.packet(RECEIVER_REPORT, count, |body| {
            body.extend_from_slice(&ssrc.to_be_bytes());
            for block in blocks {
                let lost = (block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff)
                    | (u32::from(block.fraction_lost) << 24);
                for value in [block.ssrc, lost, block.highest, block.jitter, block.last_report, block.delay] {
                    body.extend_from_slice(&value.to_be_bytes());
                }
            }
        })
    }

    /// Canonical name of a source (RFC 3550, section 6.5.1), which a compound packet must hold.
    pub(crate) fn source_description(&mut self, ssrc: u32, name: &str) -> &mut Self {
        let name = name.as_bytes().get(..255).unwrap_or(name.as_bytes());
        self.packet(SOURCE_DESCRIPTION, 1, |body| {
            body.extend_from_slice(&ssrc.to_be_bytes());
            body.push(1);
            body.push(u8::try_from(name.len()).unwrap_or(0));
            body.extend_from_slice(name);
            // One zero at least ends the list, and the chunk ends on a boundary of four.
            body.resize(body.len() + 4 - (2 + name.len()) % 4, 0);
        })
    }

    pub(crate) fn missing(&mut self, sender: u32, source: u32, entries: &[Missing]) -> &mut Self {
        self.packet(TRANSPORT_FEEDBACK, 1, |body| {
            body.extend_from_slice(&sender.to_be_bytes());
            body.extend_from_slice(&source.to_be_bytes());
            for entry in entries {
                body.extend_from_slice(&entry.first.to_be_bytes());
                body.extend_from_slice(&entry.following.to_be_bytes());
            }
        })
    }

    pub(crate) fn picture_loss(&mut self, sender: u32, source: u32) -> &mut Self {
        self.packet(PAYLOAD_FEEDBACK, 1, |body| {
            body.extend_from_slice(&sender.to_be_bytes());
            body.extend_from_slice(&source.to_be_bytes());
        })
    }

    /// Greatest bit rate that the peer shall send (draft-alvestrand-rmcat-remb).
    pub(crate) fn bit_rate(&mut self, sender: u32, bits: u64, sources: &[u32]) -> &mut Self {
        let sources = sources.get(..255).unwrap_or(sources);
        let exponent = (64 - bits.leading_zeros()).saturating_sub(18);
        let mantissa = u32::try_from(bits >> exponent).unwrap_or(0x3_ffff);
        self.packet(PAYLOAD_FEEDBACK, 15, |body| {
            body.extend_from_slice(&sender.to_be_bytes());
            body.extend_from_slice(&[0; 4]);
            body.extend_from_slice(b"REMB");
            let count = u32::try_from(sources.len()).unwrap_or(255);
            body.extend_from_slice(&((count << 24) | (exponent << 18) | mantissa).to_be_bytes());
            for source in sources {
                body.extend_from_slice(&source.to_be_bytes());
            }
        })
    }

    pub(crate) fn goodbye(&mut self, sources: &[u32]) -> &mut Self {
        let sources = sources.get(..31).unwrap_or(sources);
        self.packet(GOODBYE, u8::try_from(sources.len()).unwrap_or(31), |body| {
            for source in sources {
                body.extend_from_slice(&source.to_be_bytes());
            }
        })
    }

    fn packet(&mut self, kind: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0x80 | count, kind, 0, 0]);
        body(self.buffer);
        let words = u16::try_from((self.buffer.len() - start) / 4 - 1).unwrap_or(u16::MAX);
        if let Some(length) = self.buffer.get_mut(start + 2..start + 4) {
            length.copy_from_slice(&words.to_be_bytes());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(compound: &[u8]) -> Vec<Said<'_>> {
        let mut all = Vec::new();
        read(compound, |said| all.push(said));
        all
    }

    #[test]
    fn what_is_written_is_read() {
        let info = SenderInfo { ssrc: 1, ntp: 0x0102_0304_0506_0708, timestamp: 9, packets: 10, bytes: 11 };
        let reception = Reception {
            ssrc: 5,
            fraction_lost: 64,
            lost: -3,
            highest: 70_000,
            jitter: 8,
            last_report: 0x0304_0506,
            delay: 65_536,
        };
        let sequences = Missing { first: 65_535, following: 0b1001 };
        let mut buffer = Vec::new();
        Writer::new(&mut buffer)
            .sender_report(&info)
            .source_description(1, "patchbay")
            .receiver_report(2, &[reception])
            .missing(2, 5, &[sequences])
            .picture_loss(2, 5)
            .bit_rate(2, 2_500_000, &[5])
            .goodbye(&[1]);
        assert_eq!(buffer.len() % 4, 0);
        let expected = [
            Said::Sent(info),
            Said::Reception(reception),
            Said::Missing { ssrc: 5, sequences },
            Said::KeyFrame { ssrc: 5 },
            Said::Most(2_500_000),
            Said::Goodbye { ssrc: 1 },
        ];
        assert_eq!(all(&buffer), expected);
        assert_eq!(sequences.sequences().collect::<Vec<_>>(), [65_535, 0, 3]);
        assert_eq!((middle(info.ntp), short_time(reception.delay)), (0x0304_0506, Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(all(&bytes).len() <= bytes.len());
        }

        #[test]
        fn names_of_any_length_end_on_a_boundary(name in "[a-z]{0,300}") {
            let mut buffer = Vec::new();
            Writer::new(&mut buffer).source_description(1, &name).goodbye(&[7]);
            prop_assert_eq!(all(&buffer), [Said::Goodbye { ssrc: 7 }]);
        }
    }
}
