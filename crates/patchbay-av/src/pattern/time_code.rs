//! The time code in the test picture, which pages and tests read to measure the delay from drawing to showing.
//!
//! # Layout
//!
//! The upper left 320x16 pixels of the picture hold 80 blocks of 8x8 pixels each, in two rows of 40. Block `i` (0 to 79) has its upper left corner at
//! `x = 8 * (i % 40)`, `y = 8 * floor(i / 40)`. A white block (luma 235) is a 1, a black one (luma 16) is a 0. Most significant bits come first:
//!
//! | blocks | bits | meaning |
//! |---|---|---|
//! | 0 to 7 | 8 | always `1 0 1 1 0 0 1 0` (0xB2): there is a time code |
//! | 8 to 55 | 48 | milliseconds since 1970-01-01 00:00 UTC when the picture was drawn |
//! | 56 to 71 | 16 | number of the picture, modulo 65536 |
//! | 72 to 79 | 8 | CRC-8 (polynomial 0x07, start 0, not reflected, no final XOR) over the 8 bytes of blocks 8 to 71 |
//!
//! Read it at the picture's own size, without scaling: take the mean of the inner 4x4 pixels of a block (from `x + 2`, `y + 2`), and call it a 1
//! when the mean is over the middle (luma over 125; in RGB of full range: over 127). A code counts only when the first eight blocks and the CRC are right.

use crate::{Canvas, Picture, Plane};

/// Blocks side by side.
pub const COLUMNS: usize = 40;
/// Side of a block in pixels.
pub const BLOCK: usize = 8;
/// Least width of a picture with a time code.
pub const WIDTH: u16 = 320;
/// Rows of pixels that it takes.
pub const HEIGHT: u16 = 16;

const SYNC: u8 = 0xB2;
const BYTES: usize = 10;
const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// Between black and white.
const MIDDLE: u32 = 125;

/// What the code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeCode {
    /// Milliseconds since 1970 (48 bits) when the picture was drawn.
    pub unix_ms: u64,
    /// Number of the picture, which wraps.
    pub number: u16,
}

impl TimeCode {
    /// The bytes of the blocks, most significant bit first.
    pub fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0] = SYNC;
        bytes[1..7].copy_from_slice(&self.unix_ms.to_be_bytes()[2..]);
        bytes[7..9].copy_from_slice(&self.number.to_be_bytes());
        bytes[9] = crc8(&bytes[1..9]);
        bytes
    }

    /// What the bytes say, if they are a code.
    pub fn from_bytes(bytes: [u8; BYTES]) -> Option<Self> {
        if bytes[0] != SYNC || bytes[9] != crc8(&bytes[1..9]) {
            return None;
        }
        let mut time = [0; 8];
        time[2..].copy_from_slice(&bytes[1..7]);
        Some(Self { unix_ms: u64::from_be_bytes(time), number: u16::from_be_bytes([bytes[7], bytes[8]]) })
    }

    /// Draws it; a picture that is too small stays as it is.
    pub fn draw(self, canvas: &mut Canvas) {
        let size = canvas.size();
        if size.width() < WIDTH || size.height() < HEIGHT {
            return;
        }
        let bytes = self.bytes();
        let stride = canvas.stride(Plane::Y);
        let rows = canvas.plane_mut(Plane::Y).chunks_mut(stride).take(usize::from(HEIGHT));
        for (y, row) in rows.enumerate() {
            for (x, block) in row.chunks_mut(BLOCK).take(COLUMNS).enumerate() {
                block.fill(if bit(&bytes, y / BLOCK * COLUMNS + x) { WHITE } else { BLACK });
            }
        }
        let stride = canvas.stride(Plane::U);
        for plane in [Plane::U, Plane::V] {
            for row in canvas.plane_mut(plane).chunks_mut(stride).take(usize::from(HEIGHT / 2)) {
                row[..usize::from(WIDTH / 2)].fill(128);
            }
        }
    }

    /// Reads it from a picture; nothing where none is, or where it cannot be made out.
    pub fn read(picture: &Picture) -> Option<Self> {
        let size = picture.size();
        if size.width() < WIDTH || size.height() < HEIGHT {
            return None;
        }
        let (light, stride) = (picture.plane(Plane::Y), picture.stride(Plane::Y));
        let mut bytes = [0; BYTES];
        for index in 0..BYTES * 8 {
            let (x, y) = (index % COLUMNS * BLOCK + 2, index / COLUMNS * BLOCK + 2);
            let inner = (y..y + 4).flat_map(|row| &light[row * stride + x..row * stride + x + 4]);
            if inner.map(|light| u32::from(*light)).sum::<u32>() / 16 > MIDDLE {
                bytes[index / 8] |= 0x80 >> (index % 8);
            }
        }
        Self::from_bytes(bytes)
    }
}

fn bit(bytes: &[u8; BYTES], index: usize) -> bool {
    bytes[index / 8] & (0x80 >> (index % 8)) != 0
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x07 })
    })
}

#[cfg(test)]
#[path = "time_code_tests.rs"]
mod tests;
