//! Ways on which datagrams travel.

use crate::sdp::Transport;
use std::net::{IpAddr, SocketAddr};

/// One way to a peer. For TCP the remote address names the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// Our address, where the system told it: answers leave from the one that was asked.
    pub(crate) local: Option<IpAddr>,
}

/// Packets for one path, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) buffer: Vec<u8>,
    /// Where each packet ends.
    pub(crate) ends: Vec<usize>,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.ends.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Marks what has been written since the last packet as one.
    pub(crate) fn finish_packet(&mut self) {
        self.ends.push(self.buffer.len());
    }

    pub(crate) fn push(&mut self, packet: &[u8]) {
        self.buffer.extend_from_slice(packet);
        self.finish_packet();
    }

    pub(crate) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let packet = self.buffer.get(start..*end).unwrap_or(&[]);
            start = *end;
            packet
        })
    }

    /// Runs of packets of equal size, of which the last may be shorter: what the system sends with one call. Each with the size of its packets.
    pub(crate) fn runs(&self, longest: usize) -> Runs<'_> {
        Runs { batch: self, packet: 0, start: 0, longest: longest.max(1) }
    }
}

/// Bytes of a datagram that carries a whole run, at most: less than what UDP can carry.
const LONGEST_RUN: usize = 60_000;

pub(crate) struct Runs<'a> {
    batch: &'a Batch,
    packet: usize,
    start: usize,
    longest: usize,
}

impl<'a> Iterator for Runs<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let first_end = *self.batch.ends.get(self.packet)?;
        let (start, size) = (self.start, first_end - self.start);
        let (mut end, mut count) = (first_end, 1);
        while let Some(next_end) = self.batch.ends.get(self.packet + count).copied() {
            let next = next_end - end;
            if next > size || count == self.longest || next_end - start > LONGEST_RUN {
                break;
            }
            (end, count) = (next_end, count + 1);
            if next < size {
                break;
            }
        }
        self.packet += count;
        self.start = end;
        Some((self.batch.buffer.get(start..end)?, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_equal_size_but_for_the_last_packet() {
        let mut batch = Batch::default();
        for size in [40, 100, 100, 100, 60, 100, 100, 7, 9] {
            batch.push(&vec![0; size]);
        }
        let runs = |longest| batch.runs(longest).map(|(run, size)| (run.len(), size)).collect::<Vec<_>>();
        assert_eq!(runs(64), [(40, 40), (360, 100), (207, 100), (9, 9)]);
        assert_eq!(runs(2), [(40, 40), (200, 100), (160, 100), (200, 100), (7, 7), (9, 9)]);
        assert_eq!(
            batch.packets().map(<[u8]>::len).collect::<Vec<_>>(),
            [40, 100, 100, 100, 60, 100, 100, 7, 9]
        );
    }
}
