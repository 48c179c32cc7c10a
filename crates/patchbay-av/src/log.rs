//! What libav has to say goes to the log at DEBUG, a few lines a second: damaged streams make it say a lot. What it may take of memory is bounded here too,
//! once for the process.

use std::sync::{
    Once, OnceLock,
    atomic::{AtomicU64, Ordering},
};
use std::time::Instant;

/// Most lines a second; the rest is counted and left out.
const LINES: u64 = 20;

/// Catches the messages; does so once.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if ffmpeg_next::init().is_err() {
            tracing::warn!("libav could not be initialised");
        }
        native::catch();
        bound_memory();
    });
}

/// Most bytes that libav takes at once; its tables of a file's units are as large as the file says, so some hundred bytes may ask for gigabytes. The largest
/// picture (8192x8192, 4:2:0) has 100 MB.
const ALLOCATION: usize = 128 << 20;

/// Holds for the whole process.
fn bound_memory() {
    // SAFETY: it sets one number that libav reads with each allocation.
    #[expect(unsafe_code, reason = "ffmpeg-next does not wrap it")]
    unsafe {
        ffmpeg_next::ffi::av_max_alloc(ALLOCATION);
    }
}

/// Counts lines by the second.
#[derive(Default)]
struct Limit {
    second: AtomicU64,
    lines: AtomicU64,
    left_out: AtomicU64,
}

impl Limit {
    /// How many lines were left out before this one, which may be written; nothing when it must be left out.
    fn pass(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn write(line: &str) {
    static LIMIT: Limit =
        Limit { second: AtomicU64::new(0), lines: AtomicU64::new(0), left_out: AtomicU64::new(0) };
    static START: OnceLock<Instant> = OnceLock::new();
    let second = START.get_or_init(Instant::now).elapsed().as_secs();
    let Some(left_out) = LIMIT.pass(second) else { return };
    tracing::debug!(left_out, "libav: {}", line.trim_end());
}

#[cfg(target_arch = "x86_64")]
mod native {
    use ffmpeg_next::ffi;
    use std::ffi::{CStr, c_char, c_int, c_void};

    const LENGTH: usize = 512;

    pub(super) fn catch() {
        // SAFETY: the callback is a plain function that may be called from any thread at any time.
        #[expect(unsafe_code, reason = "ffmpeg-next does not wrap it")]
        unsafe {
            ffi::av_log_set_callback(Some(receive));
        }
    }

    /// libav calls this for each message, whatever its level.
    #[expect(unsafe_code, reason = "called by libav")]
    unsafe extern "C" fn receive(
        of: *mut c_void,
        level: c_int,
        format: *const c_char,
        arguments: *mut ffi::__va_list_tag,
    ) {
        if level > ffi::AV_LOG_WARNING || !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (mut line, mut prefix): ([c_char; LENGTH], c_int) = ([0; LENGTH], 1);
        let length = c_int::try_from(LENGTH).unwrap_or(0);
        // SAFETY: the first, third and fourth arguments come from libav as they are; the line has the length that is told, and libav ends it with a zero byte.
        let line = unsafe {
            ffi::av_log_format_line2(
                of,
                level,
                format,
                arguments,
                line.as_mut_ptr(),
                length,
                &raw mut prefix,
            );
            CStr::from_ptr(line.as_ptr())
        };
        let text = line.to_string_lossy();
        // A panic must not go through libav.
        drop(std::panic::catch_unwind(|| super::write(&text)));
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod native {
    use ffmpeg_next::util::log;

    /// The arguments of the callback have another type on each architecture; elsewhere libav is silent.
    pub(super) fn catch() {
        log::set_level(log::Level::Quiet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_a_second_pass_and_the_others_are_counted() {
        let limit = Limit::default();
        let passed = (0..100).filter(|_| limit.pass(7).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(limit.pass(8), Some(80));
        assert_eq!(limit.pass(8), Some(0));
    }
}
