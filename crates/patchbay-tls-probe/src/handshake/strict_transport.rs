//! Whether an HTTPS server tells browsers to come back by TLS only (RFC 6797): one HEAD request for its front page.

use super::{Wish, establish};
use crate::{
    connection::{Connector, Patience, READ_BYTES, Stop},
    report::StrictTransport,
};
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Bytes of the head of an answer.
const HEAD_BYTES: usize = 32 * 1024;
/// How long an answer may take: what is behind a listener of TLS need not be HTTP, and may wait for us.
const WITHIN: Duration = Duration::from_secs(2);

/// Asks. A server that does not answer by HTTP counts as not asked.
pub(crate) async fn strict_transport(
    connector: &Connector<'_>,
    server_name: &ServerName<'static>,
    authority: &str,
) -> Result<StrictTransport, Stop> {
    let (established, _) = establish(connector, server_name, Wish::only(&"http/1.1"), Patience::Full).await?;
    let Some(mut established) = established else { return Ok(StrictTransport::NotAsked) };
    let exchange = async {
        let stream = &mut established.stream;
        let request = format!(
            "HEAD / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: patchbay-tls-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        let mut head = Vec::with_capacity(READ_BYTES);
        while head.len() < HEAD_BYTES && !has_end(&head) {
            if stream.read_buf(&mut head).await.ok()? == 0 {
                break;
            }
        }
        Some(head)
    };
    let head = established.wait.for_it(timeout(WITHIN, exchange)).await?;
    Ok(head.ok().flatten().map_or(StrictTransport::NotAsked, |head| read(&head)))
}

fn has_end(head: &[u8]) -> bool {
    head.windows(4).any(|bytes| bytes == b"\r\n\r\n")
}

fn read(head: &[u8]) -> StrictTransport {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    if !lines.next().is_some_and(|line| line.starts_with("HTTP/1.")) {
        return StrictTransport::NotAsked;
    }
    let fields = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    // Only the first of several counts (RFC 6797, section 8.1).
    let policy = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"));
    policy.and_then(|(_, value)| max_age(value)).map_or(StrictTransport::Absent, |max_age_seconds| {
        // 0 takes it back.
        if max_age_seconds == 0 {
            StrictTransport::Absent
        } else {
            StrictTransport::Present { max_age_seconds }
        }
    })
}

fn max_age(value: &str) -> Option<u64> {
    let directives = value.split(';').filter_map(|directive| directive.split_once('='));
    let mut ages = directives.filter(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"));
    ages.next()?.1.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n",
                Some(31_536_000),
            ),
            (
                "HTTP/1.1 301 Moved\r\nstrict-transport-security:includeSubDomains ; Max-Age=\"5\"\r\n\r\n",
                Some(5),
            ),
            ("HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=0\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nStrict-Transport-Security: nonsense\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\nStrict-Transport-Security: max-age=9", None),
        ];
        for (head, age) in cases {
            let expected = age.map_or(StrictTransport::Absent, |max_age_seconds| StrictTransport::Present {
                max_age_seconds,
            });
            assert_eq!(read(head.as_bytes()), expected, "{head}");
        }
        for head in ["", "* OK IMAP4rev1 ready\r\n", "garbage"] {
            assert_eq!(read(head.as_bytes()), StrictTransport::NotAsked, "{head}");
        }
    }
}
