//! Sender reports (RFC 3550, section 6.4.1): which of a track's time stamps is which time of the camera.

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SenderReport {
    pub(super) ssrc: u32,
    /// The camera's clock, in nanoseconds since 1900.
    pub(super) nanos: i64,
    pub(super) timestamp: u32,
}

/// The first sender report in a compound packet. A clock that was never set is none.
pub(super) fn sender_report(compound: &[u8]) -> Option<SenderReport> {
    let mut rest = compound;
    loop {
        let &[flags, kind, high, low] = rest.first_chunk::<4>()?;
        if flags >> 6 != 2 {
            return None;
        }
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, behind) = rest.split_at_checked(length)?;
        if kind == 200 {
            return parse(packet);
        }
        rest = behind;
    }
}

fn parse(packet: &[u8]) -> Option<SenderReport> {
    let word = |at: usize| {
        let bytes = packet.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let (seconds, fraction) = (word(8)?, word(12)?);
    let nanos = i64::from(seconds) * 1_000_000_000 + ((i64::from(fraction) * 1_000_000_000) >> 32);
    (seconds > 0).then_some(SenderReport { ssrc: word(4)?, nanos, timestamp: word(16)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_behind_others_and_bounded() {
        let report =
            [0x80, 200, 0, 6, 0, 0, 0, 9, 0, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = SenderReport { ssrc: 9, nanos: 2_500_000_000, timestamp: 256 };
        assert_eq!(sender_report(&report), Some(expected));
        let behind = [&[0x80, 201, 0, 1, 0, 0, 0, 0], &report[..]].concat();
        assert_eq!(sender_report(&behind), Some(expected));
        for length in 0..report.len() {
            assert_eq!(sender_report(&report[..length]), None);
        }
    }
}
