//! What libav may open, and what became of it.

use crate::worker::Stop;
use ffmpeg_next::{ffi, format::context::StreamIo};
use parking_lot::Mutex;
use patchbay_media::hub::{Reason, SourceError};
use std::{
    ffi::{CStr, c_char, c_int},
    io::{self, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// Things that may be open at once: a playlist, its keys, and the segments of each of its tracks.
const OPEN: usize = 32;
/// Things that may be opened in short order, and then a second: playlists that lead to playlists without end stop here.
const BURST: u32 = 60;
const PER_SECOND: u32 = 10;

/// Bytes that can be read, and perhaps be read from elsewhere.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Something that was opened.
pub struct Opened {
    /// What comes. Errors that carry a [`SourceError`] are told to the user; each read must end by itself within its own time.
    pub stream: Box<dyn ReadSeek>,
    /// It can be read from any place.
    pub is_seekable: bool,
}

/// Opens what libav asks for. Addresses may come from hostile playlists.
pub trait Opener: Send {
    /// Opens an address. Must end by itself within its own time.
    fn open(&mut self, address: &str) -> Result<Opened, SourceError>;
}

/// What the callbacks of one input share with who reads it.
pub(super) struct Network {
    pub(super) watch: Watch,
    opener: Mutex<Option<Box<dyn Opener>>>,
    /// What libav has open.
    open: Mutex<Vec<StreamIo>>,
    budget: Mutex<Budget>,
}

/// When reading must end, and why it has.
pub(super) struct Watch {
    stop: Arc<Stop>,
    deadline: Mutex<Instant>,
    /// The first failure since the last unit: what libav says of it would be less.
    failure: Mutex<Option<SourceError>>,
}

impl Watch {
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_told() || Instant::now() > *self.deadline.lock()
    }

    pub(super) fn is_told(&self) -> bool {
        self.stop.is_told()
    }

    /// Gives reading so much time from now.
    pub(super) fn allow(&self, within: Duration) {
        *self.deadline.lock() = Instant::now() + within;
    }

    pub(super) fn fail(&self, failure: SourceError) {
        self.failure.lock().get_or_insert(failure);
    }

    pub(super) fn failure(&self) -> Option<SourceError> {
        self.failure.lock().take()
    }
}

impl Network {
    pub(super) fn new(opener: Option<Box<dyn Opener>>, stop: &Arc<Stop>, within: Duration) -> Arc<Self> {
        let deadline = Mutex::new(Instant::now() + within);
        let watch = Watch { stop: Arc::clone(stop), deadline, failure: Mutex::default() };
        let (opener, budget) = (Mutex::new(opener), Mutex::new(Budget::new(Instant::now())));
        Arc::new(Self { watch, opener, open: Mutex::default(), budget })
    }

    /// Opens an address; what is given is closed by libav, or with the network.
    pub(super) fn open(self: &Arc<Self>, address: &str) -> Result<*mut ffi::AVIOContext, SourceError> {
        if !self.budget.lock().take(Instant::now()) || self.open.lock().len() >= OPEN {
            let text =
                "the source leads to other addresses without end; use the address of the stream itself";
            return Err(SourceError::temporary(text).because(Reason::Protocol));
        }
        let opened = match self.opener.lock().as_mut() {
            Some(opener) => opener.open(address)?,
            None => {
                return Err(
                    SourceError::temporary("the source leads to another address").because(Reason::Forbidden)
                );
            }
        };
        let watched = Watched { stream: opened.stream, network: Arc::downgrade(self) };
        let made =
            if opened.is_seekable { StreamIo::from_read_seek(watched) } else { StreamIo::from_read(watched) };
        let mut made =
            made.map_err(|error| SourceError::temporary(format!("no memory for the source: {error}")))?;
        let pointer = made.as_mut_ptr();
        self.open.lock().push(made);
        Ok(pointer)
    }

    fn close(&self, pointer: *mut ffi::AVIOContext) {
        let mut open = self.open.lock();
        let found = open.iter_mut().position(|one| one.as_mut_ptr() == pointer);
        let closed = found.map(|place| open.swap_remove(place));
        drop(open);
        drop(closed);
    }
}

/// A stream that ends when reading must, and keeps its failures.
struct Watched {
    stream: Box<dyn ReadSeek>,
    /// What is open is owned by the network, so this must not own that.
    network: std::sync::Weak<Network>,
}

impl Watched {
    fn keep(&self, error: &io::Error) -> io::Error {
        let Some(network) = self.network.upgrade() else { return io::ErrorKind::Other.into() };
        let failure = error.get_ref().and_then(|inner| inner.downcast_ref::<SourceError>()).cloned();
        network.watch.fail(failure.unwrap_or_else(|| SourceError::temporary(error.to_string())));
        // libav would try again for ever after an interruption.
        io::ErrorKind::Other.into()
    }

    fn is_over(&self) -> bool {
        self.network.upgrade().is_none_or(|network| network.watch.is_over())
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.is_over() {
            return Err(io::ErrorKind::Other.into());
        }
        self.stream.read(into).map_err(|error| self.keep(&error))
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if self.is_over() {
            return Err(io::ErrorKind::Other.into());
        }
        self.stream.seek(to).map_err(|error| self.keep(&error))
    }
}

/// A bucket of openings.
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let seconds = u32::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        if seconds > 0 {
            self.since = now;
            self.left = self.left.saturating_add(seconds.saturating_mul(PER_SECOND)).min(BURST);
        }
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

/// Makes a context ask this network, and no other, for whatever it opens. The caller keeps the network alive for as long as the context.
pub(super) fn attach(context: &mut ffi::AVFormatContext, network: &Arc<Network>) {
    context.opaque = Arc::as_ptr(network).cast_mut().cast();
    context.io_open = Some(io_open);
    context.io_close2 = Some(io_close);
}

/// libav calls this for everything that it wants to read.
#[expect(unsafe_code, reason = "called by libav")]
unsafe extern "C" fn io_open(
    context: *mut ffi::AVFormatContext,
    made: *mut *mut ffi::AVIOContext,
    address: *const c_char,
    flags: c_int,
    _: *mut *mut ffi::AVDictionary,
) -> c_int {
    // SAFETY: `attach` has set the pointer to a network that lives as long as the context, in an `Arc` whose count is raised here for another owner;
    // libav gives a string that ends, and a place for the result.
    let (network, address) = unsafe {
        let network = (*context).opaque.cast_const().cast::<Network>();
        if network.is_null() || address.is_null() {
            return ffi::AVERROR(ffi::EINVAL);
        }
        Arc::increment_strong_count(network);
        (Arc::from_raw(network), CStr::from_ptr(address))
    };
    if flags & ffi::AVIO_FLAG_WRITE != 0 {
        return ffi::AVERROR(ffi::EACCES);
    }
    if network.watch.is_over() {
        return ffi::AVERROR_EXIT;
    }
    let opened = catch_unwind(AssertUnwindSafe(|| network.open(&address.to_string_lossy())));
    match opened {
        Ok(Ok(pointer)) => {
            // SAFETY: see above.
            unsafe { *made = pointer };
            0
        }
        Ok(Err(failure)) => {
            network.watch.fail(failure);
            if network.watch.is_over() { ffi::AVERROR_EXIT } else { ffi::AVERROR(ffi::EIO) }
        }
        Err(_) => ffi::AVERROR_EXTERNAL,
    }
}

/// libav calls this for everything that `io_open` has given it.
#[expect(unsafe_code, reason = "called by libav")]
unsafe extern "C" fn io_close(context: *mut ffi::AVFormatContext, pointer: *mut ffi::AVIOContext) -> c_int {
    // SAFETY: as in `io_open`; the network outlives this call without another owner.
    let network = unsafe { (*context).opaque.cast_const().cast::<Network>().as_ref() };
    if let Some(network) = network {
        drop(catch_unwind(AssertUnwindSafe(|| network.close(pointer))));
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_counted() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let took = (0..1_000).filter(|_| budget.take(now)).count();
        assert_eq!(took, 60);
        let later = now + Duration::from_secs(2);
        assert_eq!((0..1_000).filter(|_| budget.take(later)).count(), 20);
    }
}
