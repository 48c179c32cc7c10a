//! What a camera's refusals mean, in words for the user.

use super::{Refusal, What};
use crate::rtsp::message::{Head, MessageError};
use patchbay_media::hub::{Reason, SourceError};

/// What the status of an answer to a request for the session says; none when it is not a refusal.
pub(super) fn refusal(status: u16, method: &str) -> Option<Refusal> {
    let temporary = |text: String, reason| Refusal::from(SourceError::temporary(text).because(reason));
    Some(match status {
        0..=299 => return None,
        403 => SourceError::permanent(
            "the camera does not let this user see the stream: check what the user may do in the camera's settings",
        )
        .because(Reason::Unauthorized)
        .into(),
        404 | 410 => temporary(
            "the camera answers, and has nothing under this path: look up the path of its stream, such as /Streaming/Channels/101, /cam/realmonitor?channel=1&subtype=0 or /live".to_owned(),
            Reason::NotFound,
        ),
        454 => temporary("the camera has lost the session".to_owned(), Reason::Protocol),
        453 => temporary(
            "the camera has no bandwidth for another viewer: close others, or take a smaller stream".to_owned(),
            Reason::Other,
        ),
        461 => Refusal {
            error: SourceError::temporary(
                "the camera does not send media in this way: set the transport to the other one",
            )
            .because(Reason::Protocol),
            what: What::Transport,
        },
        503 => temporary("the camera is busy, or has too many viewers".to_owned(), Reason::Other),
        _ => temporary(
            format!("the camera answers {status} when it is asked to {}", asked(method)),
            Reason::Protocol,
        ),
    })
}

fn asked(method: &str) -> &'static str {
    match method {
        "DESCRIBE" => "describe its stream",
        "SETUP" => "prepare its stream",
        "PLAY" => "play its stream",
        _ => "do something",
    }
}

/// A camera that sends its viewers elsewhere is not followed: the address was checked, the other one was not.
pub(super) fn redirect() -> Refusal {
    let text = "the camera redirects to another address, which is not followed: enter the address that it redirects to";
    SourceError::temporary(text).because(Reason::Protocol).into()
}

/// What came cannot be read.
pub(super) fn unreadable(error: MessageError) -> Refusal {
    let text = format!("the camera does not speak RTSP as it should: {error}");
    SourceError::temporary(text).because(Reason::Protocol).into()
}

/// The connection has ended.
pub(super) fn ended() -> Refusal {
    SourceError::temporary("the camera has closed the connection").because(Reason::Ended).into()
}

/// It sends more than any camera does.
pub(super) fn flood() -> Refusal {
    let text = "the camera sends more than is taken from a camera: lower its bit rate";
    SourceError::temporary(text).because(Reason::Protocol).into()
}

/// Whether an answer sends the client elsewhere.
pub(super) fn is_redirect(response: &Head) -> bool {
    matches!(response.status(), Some(300..=399))
}
