//! VP8 (RFC 7741).

use super::Builder;

/// X: there are extended control bits.
const EXTENDED: u8 = 0x80;
/// S: a partition starts here; with partition 0, the frame.
const START: u8 = 0x10;
/// I: a picture id follows.
const PICTURE_ID: u8 = 0x80;

/// Cuts a frame. Partitions are not told apart: receivers need whole frames anyway.
pub(super) fn cut(frame: &[u8], picture: [u8; 2], out: &mut Builder) {
    let mut start = START;
    for chunk in frame.chunks(out.limit - 4) {
        let [high, low] = picture;
        out.put(&[EXTENDED | start, PICTURE_ID, high, low]);
        out.put(chunk);
        out.end();
        start = 0;
    }
}
