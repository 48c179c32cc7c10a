//! A camera's description of its session (SDP, RFC 8866), without what no client here needs and parsers stumble over.

use std::borrow::Cow;

/// Version, media and attributes. Other lines say when and by whom the session was announced, which cameras often get wrong; what is no line of SDP at all makes parsers fail.
pub(super) fn plain(description: &[u8]) -> Vec<u8> {
    let text: Cow<'_, str> = String::from_utf8_lossy(description);
    let mut plain = String::from("v=0\r\n");
    let kept = text.split(['\r', '\n', '\0']).map(str::trim).filter(|line| is_kept(line));
    for line in kept {
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
        assert_eq!(plain, b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n");
    }
}
