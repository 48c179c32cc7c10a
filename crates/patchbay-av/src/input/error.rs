//! Why an input cannot be played, in words for the user who looks at it.

use patchbay_media::hub::{Reason, SourceError};

/// Why an input cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    #[error("the address cannot be handed to libav")]
    Address,
    #[error("libav may connect to 127.0.0.1 alone")]
    NotLoopback,
    #[error(
        "what comes is no media that can be played, or it is damaged; HLS, MP4, MOV, MKV, WebM, TS, FLV, AVI, Ogg, AAC and WAV are known"
    )]
    Unknown,
    #[error("it did not become clear within {0} s what the source sends")]
    OpenTimedOut(u64),
    #[error("the source has sent nothing that can be shown or heard for {0} s")]
    Stalled(u64),
    #[error("the source has neither pictures nor sound that can be used{0}")]
    NoTracks(String),
    #[error("the source has changed its codec; it is opened anew")]
    Changed,
    #[error(
        "pictures come, and none for {0} s with which decoding can begin: let the source make key frames more often"
    )]
    NoKeyFrame(u64),
    #[error("the source has ended")]
    Ended,
    #[error("the machine gives no thread for the source: {0}")]
    Thread(std::io::ErrorKind),
    #[error("reading the source failed inside; the log of the service has the reason")]
    Inside,
}

impl From<InputError> for SourceError {
    fn from(error: InputError) -> Self {
        let text = error.to_string();
        match error {
            InputError::Address | InputError::NotLoopback => Self::permanent(text).because(Reason::Protocol),
            InputError::Unknown => Self::temporary(text).because(Reason::Protocol),
            InputError::OpenTimedOut(_) | InputError::Stalled(_) => {
                Self::temporary(text).because(Reason::TimedOut)
            }
            InputError::NoTracks(_) => Self::temporary(text).because(Reason::NoTracks),
            InputError::Changed => Self::temporary(text).because(Reason::Codec),
            InputError::NoKeyFrame(_) => Self::temporary(text).because(Reason::NoKeyFrame),
            InputError::Ended => Self::temporary(text).because(Reason::Ended),
            InputError::Thread(_) | InputError::Inside => Self::temporary(text),
        }
    }
}
