//! A camera's description of its session (SDP, RFC 8866), without what no client here needs and parsers stumble over.

use std::borrow::Cow;

/// Most streams that are shown to the client: libav sets up all that it sees, a thousand if need be.
const MOST_STREAMS: usize = 16;

/// Version, media and attributes. Other lines say when and by whom the session was announced, which cameras often get wrong; what is no line of SDP at all makes parsers fail.
pub(super) fn plain(description: &[u8]) -> Vec<u8> {
    let text: Cow<'_, str> = String::from_utf8_lossy(description);
    let mut plain = String::from("v=0\r\n");
    let kept = text.split(['\r', '\n', '\0']).map(str::trim).filter(|line| is_kept(line));
    let mut streams = 0;
    for line in kept {
        streams += usize::from(line.starts_with("m="));
        if streams > MOST_STREAMS {
            break;
        }
        plain.push_str(line);
        plain.push_str("\r\n");
    }
    plain.into_bytes()
}

fn is_kept(line: &str) -> bool {
    let has_value = line.get(2..).is_some_and(|value| !value.is_empty());
    has_value && (line.starts_with("m=") || line.starts_with("a="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_kept() {
        let text = b"v=0\no=- x y\r\ns=\xff\r\nt=now\n\nm=video 0 RTP/AVP 96 \r\nrubbish\r\nc=IN\r\na=rtpmap:96 H264/90000\r\na=\r\nm=\n";
        let plain = plain(text);
        let many = "m=video 0 RTP/AVP 96\r\n".repeat(2_000);
        assert_eq!(super::plain(many.as_bytes()).len(), 5 + 16 * 22, "the first ones");
        assert_eq!(plain, b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n");
    }
}
