//! Opus: the first byte of a packet (RFC 6716, 3.1) and the identification header (RFC 7845, 5.1).

use super::HeaderError;
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// Longest packet (RFC 6716, 3.4).
const MAX_DURATION: Duration = Duration::from_millis(120);

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Time that it plays.
    pub duration: Duration,
    /// 1 or 2, as the encoder chose for this packet.
    pub channels: u8,
}

impl Packet {
    /// Reads the beginning of a packet.
    pub fn parse(packet: &[u8]) -> Result<Self, HeaderError> {
        let toc = *packet.first().ok_or(HeaderError::Truncated)?;
        let frames = match toc & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => packet.get(1).ok_or(HeaderError::Truncated)? & 0x3f,
        };
        let duration = frame_duration(toc >> 3) * u32::from(frames);
        if frames == 0 || duration > MAX_DURATION {
            return Err(HeaderError::Invalid("an Opus packet's number of frames"));
        }
        Ok(Self { duration, channels: 1 + (toc >> 2 & 1) })
    }
}

fn frame_duration(config: u8) -> Duration {
    let micros = match config {
        // SILK
        0..=11 => [10_000, 20_000, 40_000, 60_000].get(usize::from(config & 3)),
        // Both
        12..=15 => [10_000, 20_000].get(usize::from(config & 1)),
        // CELT
        _ => [2500, 5000, 10_000, 20_000].get(usize::from(config & 3)),
    };
    Duration::from_micros(micros.copied().unwrap_or_default())
}

/// `OpusHead`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels.
    pub channels: u8,
    /// Samples at 48 kHz to leave out at the start.
    pub pre_skip: u16,
    /// Samples a second of what was encoded; the coding itself always runs at 48 kHz.
    pub input_rate: u32,
    /// To be added when playing, in 1/256 dB.
    pub gain: i16,
}

impl Head {
    /// Reads a header; mapping families other than 0 (mono and stereo) are not supported, since no sink takes them.
    pub fn parse(head: &[u8]) -> Result<Self, HeaderError> {
        let rest =
            head.strip_prefix(b"OpusHead").ok_or(HeaderError::Invalid("the name of an Opus header"))?;
        let (fields, _) = rest.split_first_chunk::<11>().ok_or(HeaderError::Truncated)?;
        let [version, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family] = *fields;
        if version >> 4 != 0 {
            return Err(HeaderError::Unsupported("the version of an Opus header"));
        }
        if family != 0 {
            return Err(HeaderError::Unsupported("Opus with more than two channels"));
        }
        if !matches!(channels, 1 | 2) {
            return Err(HeaderError::Invalid("the number of Opus channels"));
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            input_rate: u32::from_le_bytes([rate0, rate1, rate2, rate3]),
            gain: i16::from_le_bytes([gain0, gain1]),
        })
    }

    /// Writes it.
    pub fn build(&self) -> Bytes {
        let mut head = BytesMut::with_capacity(19);
        head.put_slice(b"OpusHead\x01");
        head.put_u8(self.channels);
        head.put_u16_le(self.pre_skip);
        head.put_u32_le(self.input_rate);
        head.put_i16_le(self.gain);
        head.put_u8(0);
        head.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_channels() {
        let of = |packet: &[u8]| {
            Packet::parse(packet).map(|packet| (packet.duration.as_micros(), packet.channels))
        };
        assert_eq!(of(&[0xfc, 1]), Ok((20_000, 2)), "CELT full band, what browsers send");
        assert_eq!(of(&[0x78]), Ok((20_000, 1)), "both");
        assert_eq!(of(&[0x80]), Ok((2500, 1)));
        assert_eq!(of(&[0x19, 0]), Ok((120_000, 1)), "two of 60 ms");
        assert_eq!(of(&[0xfb, 6]), Ok((120_000, 1)));
        assert!(
            of(&[0xfb, 7]).is_err() && of(&[0xfb, 0]).is_err() && of(&[0xfb]).is_err() && of(&[]).is_err()
        );
    }

    proptest! {
        #[test]
        fn heads_come_back(channels in 1_u8..=2, pre_skip in any::<u16>(), input_rate in any::<u32>(), gain in any::<i16>()) {
            let head = Head { channels, pre_skip, input_rate, gain };
            prop_assert_eq!(Head::parse(&head.build()), Ok(head));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..16)) {
            std::hint::black_box((Packet::parse(&data).is_ok(), Head::parse(&[b"OpusHead", &data[..]].concat()).is_ok()));
        }
    }
}
