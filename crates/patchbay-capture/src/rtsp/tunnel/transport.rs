//! The header `Transport` (RFC 2326, section 12.39), as far as it is read and written here.

/// The two channels of a stream, `interleaved=0-1`.
pub(super) fn channels(header: &str) -> Option<(u8, u8)> {
    let (first, second) = pair(parameter(header, "interleaved")?);
    let first: u8 = first.parse().ok()?;
    let second = match second {
        Some(second) => second.parse().ok()?,
        None => first.checked_add(1)?,
    };
    (first != second).then_some((first, second))
}

/// Where the camera sends its datagrams from, `server_port=6970-6971`; the second is the next one where it is missing or no port.
pub(super) fn server_ports(header: &str) -> Option<(u16, Option<u16>)> {
    let (first, second) = pair(parameter(header, "server_port")?);
    let first: u16 = first.parse().ok().filter(|port| *port > 0)?;
    let second = second.and_then(|second| second.parse().ok()).or(first.checked_add(1));
    Some((first, second))
}

/// Asks for datagrams to these ports.
pub(super) fn ask_udp(port: u16, reports: u16) -> String {
    format!("RTP/AVP;unicast;client_port={port}-{reports}")
}

/// What the client behind the door expects.
pub(super) fn told((media, reports): (u8, u8)) -> String {
    format!("RTP/AVP/TCP;unicast;interleaved={media}-{reports}")
}

fn pair(value: &str) -> (&str, Option<&str>) {
    match value.split_once('-') {
        Some((first, second)) => (first.trim(), Some(second.trim())),
        None => (value.trim(), None),
    }
}

fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    // Of several transports the first is meant.
    let first = header.split(',').next()?;
    first.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_read() {
        assert_eq!(channels("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1"), Some((2, 3)));
        assert_eq!(channels("RTP/AVP/TCP;Interleaved = 4"), Some((4, 5)));
        for none in
            ["RTP/AVP/TCP", "interleaved=255", "interleaved=1-1", "interleaved=300-301", "interleaved=x"]
        {
            assert_eq!(channels(none), None, "{none}");
        }
        assert_eq!(server_ports("RTP/AVP;server_port=6970-6971;source=1.2.3.4"), Some((6970, Some(6971))));
        assert_eq!(server_ports("server_port=65535-65536"), Some((65535, None)));
        assert_eq!(server_ports("server_port=65535"), Some((65535, None)));
        assert_eq!(server_ports("server_port=0-1"), None);
    }
}
