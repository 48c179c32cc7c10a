//! What is wrong with a camera, for whoever asks. The words of sources name hosts and paths: they are for those who may change the camera; others are
//! told the kind of trouble alone.

use crate::{
    caller::{Action, Caller},
    cameras::CameraName,
};
use patchbay_media::hub::{Reason, SourceError};

impl Caller {
    /// What is wrong with a source, as far as the caller may know.
    pub(crate) fn told(&self, camera: &CameraName, error: &SourceError) -> String {
        self.told_words(camera, error.to_string(), Some(error.reason()))
    }

    /// The same of words that were kept with their reason. Words without one are the service's own, and name no place.
    pub(crate) fn told_words(&self, camera: &CameraName, words: String, reason: Option<Reason>) -> String {
        match reason {
            Some(reason) if !self.may(Action::Write, camera) => in_general(reason).to_owned(),
            _ => words,
        }
    }
}

const fn in_general(reason: Reason) -> &'static str {
    match reason {
        Reason::NameNotFound | Reason::Refused | Reason::Unreachable => "the camera cannot be reached",
        Reason::Forbidden => "the service may not reach the camera",
        Reason::TimedOut => "the camera does not answer in time",
        Reason::Tls => "the camera's certificate is not believed",
        Reason::Unauthorized => "the camera does not accept its login",
        Reason::NotFound => "the camera has nothing under its path",
        Reason::Protocol => "the camera's answers cannot be understood",
        Reason::NoTracks => "the camera has neither pictures nor sound",
        Reason::Codec => "what the camera sends cannot be used",
        Reason::NoKeyFrame => "the camera sends nothing with which a picture can begin",
        Reason::Device => "the device cannot be opened",
        Reason::Ended => "the source has ended",
        Reason::Other => "the camera cannot be shown",
    }
}
