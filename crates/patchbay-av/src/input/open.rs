//! Opens an input with libav, with limits on what and for how long.

use super::{
    InputSettings, Via,
    error::InputError,
    network::{Network, attach},
};
use crate::worker::Stop;
use ffmpeg_next::{self as av, Dictionary, ffi, format::context::Input, util::interrupt};
use patchbay_media::hub::SourceError;
use std::{
    ffi::{CStr, CString},
    ptr,
    sync::Arc,
};

/// Containers and playlists. What they name is opened through the opener alone.
const FORMATS: &str = "hls,mov,mp4,matroska,webm,mpegts,mpeg,flv,avi,ogg,ivf,aac,wav,h264,hevc,m4v,mjpeg";
/// Decoders that libav may use to find out about a stream; of these the last ones are decoded for showing, too.
const DECODERS: &str = "h264,hevc,libdav1d,libaom-av1,av1,vp8,vp9,libvpx,libvpx-vp9,aac,opus,libopus,pcm_alaw,pcm_mulaw,\
                        mpeg4,mpeg2video,mpeg1video,mjpeg,h263,flv";
/// Most streams of a file; what has the tables of MP4 builds large ones for each.
const STREAMS: i32 = 64;
const STREAMS_OF_MP4: i32 = 8;
/// Bytes and microseconds that libav looks at to find out what there is.
const PROBE: [(&str, &str); 2] = [("probesize", "2000000"), ("analyzeduration", "3000000")];
const PROBE_BYTES: u32 = 2_000_000;
/// Of the newest segments of a live playlist, where playing begins. Connections are made for each segment by our own client, which libav's way of keeping
/// them open does not know.
const HLS: [(&str, &str); 7] = [
    ("live_start_index", "-2"),
    ("http_persistent", "0"),
    ("http_multiple", "0"),
    // Which addresses and formats are good is decided by the opener and the list of formats.
    ("allowed_extensions", "ALL"),
    ("extension_picky", "0"),
    ("max_reload", "1000"),
    ("seg_format_options", "max_streams=8"),
];

/// An open input and the network behind it.
pub(super) struct Open {
    pub(super) input: Input,
    pub(super) network: Arc<Network>,
}

pub(super) fn open(settings: &mut InputSettings, stop: &Arc<Stop>) -> Result<Open, SourceError> {
    crate::log::init();
    let (opener, options) = match std::mem::replace(&mut settings.via, Via::LoopbackRtsp) {
        Via::Opener(opener) => (Some(opener), by_opener()),
        Via::LoopbackRtsp => (None, by_rtsp(&settings.address)?),
    };
    let is_rtsp = opener.is_none();
    let network = Network::new(opener, stop, settings.open_timeout);
    let address = CString::new(settings.address.as_str()).map_err(|_| InputError::Address)?;
    let result = open_context(&address, settings.format, options, &network, is_rtsp);
    match result {
        Ok(input) => Ok(Open { input, network }),
        Err(error) => Err(network.watch.failure().unwrap_or_else(|| match error {
            av::Error::Exit => InputError::OpenTimedOut(settings.open_timeout.as_secs()).into(),
            _ if network.watch.is_over() => InputError::OpenTimedOut(settings.open_timeout.as_secs()).into(),
            _ => InputError::Unknown.into(),
        })),
    }
}

/// Whether a format is of the family of MP4.
#[expect(unsafe_code, reason = "ffmpeg-next takes no pointers")]
fn is_mp4(kind: *const ffi::AVInputFormat) -> bool {
    // SAFETY: libav's formats live for ever, and have names.
    unsafe { kind.as_ref().is_some_and(|kind| CStr::from_ptr(kind.name).to_bytes().starts_with(b"mov")) }
}

fn by_opener() -> Dictionary<'static> {
    let mut options = Dictionary::new();
    // Nothing has this name: libav itself can open nothing.
    options.set("protocol_whitelist", "none");
    options.set("format_whitelist", FORMATS);
    for (key, value) in PROBE.into_iter().chain(HLS) {
        options.set(key, value);
    }
    options.set("codec_whitelist", DECODERS);
    options
}

fn by_rtsp(address: &str) -> Result<Dictionary<'static>, InputError> {
    let rest = address.strip_prefix("rtsp://127.0.0.1:").ok_or(InputError::NotLoopback)?;
    let port = rest.split('/').next().unwrap_or_default();
    if port.parse::<u16>().is_err() {
        return Err(InputError::NotLoopback);
    }
    let mut options = Dictionary::new();
    for (key, value) in [
        ("protocol_whitelist", "rtsp,tcp"),
        ("format_whitelist", "rtsp"),
        ("rtsp_transport", "tcp"),
        ("codec_whitelist", DECODERS),
    ] {
        options.set(key, value);
    }
    for (key, value) in PROBE {
        options.set(key, value);
    }
    Ok(options)
}

#[expect(unsafe_code, reason = "ffmpeg-next cannot set the callbacks")]
fn open_context(
    address: &CString,
    format: Option<&'static str>,
    options: Dictionary<'static>,
    network: &Arc<Network>,
    is_rtsp: bool,
) -> Result<Input, av::Error> {
    let format = format.and_then(|name| CString::new(name).ok());
    // The closure owns a share of the network, and libav's context owns the closure: callbacks find the network until the context is closed.
    let watch = Arc::clone(network);
    let interrupt = interrupt::new(Box::new(move || watch.watch.is_over()));
    // SAFETY: the context is new and ours alone until it is wrapped, which closes it in the end; the strings live until these calls return. When opening
    // fails libav frees the context and sets the pointer to null, and the interrupt's guard is dropped after that.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        let Some(fresh) = context.as_mut() else {
            return Err(av::Error::Other { errno: av::error::ENOMEM });
        };
        fresh.interrupt_callback = interrupt.interrupt;
        if !is_rtsp {
            attach(fresh, network);
            // libav closes what it has opened first in a way that fits its own protocols alone; so that is opened for it.
            fresh.pb = match network.open(&address.to_string_lossy()) {
                Ok(pointer) => pointer,
                Err(failure) => {
                    network.watch.fail(failure);
                    ffi::avformat_free_context(context);
                    return Err(av::Error::Exit);
                }
            };
            fresh.flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        }
        let mut kind = format.as_ref().map_or(ptr::null(), |name| ffi::av_find_input_format(name.as_ptr()));
        if !is_rtsp && kind.is_null() {
            // What libav does itself otherwise; it leaves the stream at its beginning.
            let (nothing, pb) = (ptr::null_mut(), fresh.pb);
            let known =
                ffi::av_probe_input_buffer2(pb, &raw mut kind, address.as_ptr(), nothing, 0, PROBE_BYTES);
            if known < 0 {
                ffi::avformat_free_context(context);
                return Err(av::Error::from(known));
            }
        }
        fresh.max_streams = if is_mp4(kind) { STREAMS_OF_MP4 } else { STREAMS };
        let mut options = options.disown();
        let opened = ffi::avformat_open_input(&raw mut context, address.as_ptr(), kind, &raw mut options);
        drop(Dictionary::own(options));
        if opened < 0 {
            return Err(av::Error::from(opened));
        }
        let mut input = Input::wrap_with_interrupt(context, interrupt.guard);
        let found = ffi::avformat_find_stream_info(input.as_mut_ptr(), ptr::null_mut());
        if found < 0 { Err(av::Error::from(found)) } else { Ok(input) }
    }
}
