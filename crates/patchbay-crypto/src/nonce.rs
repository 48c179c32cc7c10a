//! Random nonces and initialization vectors, drawn from a buffer of each thread: asking the library for 12 bytes costs
//! about as much as encrypting 256, asking it for 4 KiB not much more.
//!
//! The buffer is not told of a fork: a child that went on in the same program would use its parent's nonces again. Nothing
//! in the suite does that: child processes are other programs (`exec`), which inherit no memory.

use crate::Error;
use std::cell::RefCell;

/// Bytes that are asked for at once.
const SIZE: usize = 4096;

struct Buffer {
    bytes: [u8; SIZE],
    used: usize,
}

thread_local! {
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer { bytes: [0; SIZE], used: SIZE }) };
}

/// Makes `N` random bytes that nobody can know before they are sent. For nonces, not for keys: the buffer lies open in
/// memory until it is used.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    const { assert!(N <= SIZE, "more than the buffer has") }
    BUFFER.with_borrow_mut(Buffer::take)
}

impl Buffer {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        if self.used.saturating_add(N) > SIZE {
            // Stands first, so that nothing is used twice when the refill fails.
            self.used = SIZE;
            aws_lc_rs::rand::fill(&mut self.bytes).map_err(|_| Error::Library)?;
            self.used = 0;
        }
        let source =
            self.bytes.get_mut(self.used..).and_then(<[u8]>::first_chunk_mut::<N>).ok_or(Error::Library)?;
        let nonce = *source;
        source.fill(0);
        self.used += N;
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_nonce_comes_twice_over_refills_sizes_and_threads() {
        let draw = || {
            let mut nonces = Vec::new();
            for _ in 0..2000 {
                nonces.push(random::<12>().unwrap().to_vec());
                nonces.push(random::<24>().unwrap().to_vec());
            }
            nonces
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let nonces: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        // The first 12 bytes alone must differ as well: a longer nonce must not begin with a shorter one.
        let different: HashSet<_> = nonces.iter().map(|nonce| nonce[..12].to_vec()).collect();
        assert_eq!(different.len(), nonces.len());
    }

    #[test]
    fn what_was_used_is_wiped_and_refilled() {
        let mut buffer = Buffer { bytes: [7; SIZE], used: SIZE - 16 };
        assert_eq!(buffer.take::<16>().unwrap(), [7; 16]);
        assert_eq!(buffer.bytes[SIZE - 16..], [0; 16]);
        assert_ne!(buffer.take::<16>().unwrap(), [7; 16]);
        assert_eq!(buffer.used, 16);
    }
}
