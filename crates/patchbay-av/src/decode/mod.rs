//! Decoders: units in the hub's form in, pictures and samples out. Untrusted streams: sizes are limited, one thread each.

mod audio;
mod video;

pub use audio::AudioDecoder;
pub use video::{Decoded, VideoDecoder};

use bytes::Bytes;
use ffmpeg_next::{codec, ffi};

/// Hands a decoder what stands outside the stream.
fn set_extra_data(context: &mut codec::Context, data: &Bytes) {
    let Ok(length) = i32::try_from(data.len()) else { return };
    if length == 0 {
        return;
    }
    let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).unwrap_or(64);
    // SAFETY: libav frees this memory with the context, so it must come from av_mallocz; it has the padding that decoders read beyond the end,
    // and the context has not been opened yet.
    #[expect(unsafe_code, reason = "ffmpeg-next has no setter")]
    unsafe {
        let memory = ffi::av_mallocz(data.len() + padding).cast::<u8>();
        if memory.is_null() {
            return;
        }
        memory.copy_from_nonoverlapping(data.as_ptr(), data.len());
        let context = &mut *context.as_mut_ptr();
        context.extradata = memory;
        context.extradata_size = length;
    }
}
