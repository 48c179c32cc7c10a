//! Reading a request head.

use std::mem::MaybeUninit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{Header, Status};

use super::{Handshake, Limits, Refusal};

/// More headers than any browser behind any chain of proxies sends.
const MAX_HEADERS: usize = 64;

/// The request line of something that is no handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'b> {
    /// The method.
    pub method: &'b str,
    /// The request target as sent.
    pub target: &'b str,
}

/// A valid request for an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade<'b> {
    /// The length of the head; the client's frames may follow it at once.
    pub head_len: usize,
    /// The path, as sent (not percent-decoded).
    pub path: &'b str,
    /// What stands behind the question mark, as sent.
    pub query: Option<&'b str>,
    /// The Host header.
    pub host: &'b str,
    /// The Origin header; browsers always send it.
    pub origin: Option<&'b str>,
    /// The subprotocols offered, in the client's order.
    pub protocols: Vec<&'b str>,
    /// The last X-Forwarded-For header: the one that the nearest proxy wrote.
    pub forwarded_for: Option<&'b str>,
    /// The Authorization header.
    pub authorization: Option<&'b str>,
    pub(super) key: &'b str,
}

impl<'b> Handshake<'b> {
    /// Judges what `bytes`, all that was read from the connection so far, begins with.
    pub fn parse(bytes: &'b [u8], limits: Limits) -> Self {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let head_len = match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(Status::Complete(len)) if len <= limits.head => len,
            Ok(Status::Partial) if bytes.len() < limits.head => return Self::NeedMore,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Self::Bad(Refusal::HEAD_TOO_LARGE),
            Err(_) => return Self::Bad(Refusal::BAD_REQUEST),
        };
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Self::Bad(Refusal::BAD_REQUEST);
        };
        let head = Head { headers: request.headers };
        if !head.lists("upgrade", "websocket") || !head.lists("connection", "upgrade") {
            return Self::NotUpgrade(Request { method, target });
        }
        if method != "GET" || version != 1 {
            return Self::Bad(Refusal::BAD_REQUEST);
        }
        match head.upgrade(head_len, target) {
            Ok(upgrade) => Self::Upgrade(upgrade),
            Err(refusal) => Self::Bad(refusal),
        }
    }
}

struct Head<'h, 'b> {
    headers: &'h [Header<'b>],
}

impl<'b> Head<'_, 'b> {
    fn upgrade(&self, head_len: usize, target: &'b str) -> Result<Upgrade<'b>, Refusal> {
        // A body would be read as frames.
        if self.all("content-length").chain(self.all("transfer-encoding")).next().is_some() {
            return Err(Refusal::BAD_REQUEST);
        }
        if self.only("sec-websocket-version")? != Some("13") {
            return Err(Refusal::VERSION);
        }
        let key = self.only("sec-websocket-key")?.filter(|key| is_key(key)).ok_or(Refusal::BAD_REQUEST)?;
        let (path, query) = split_target(target).ok_or(Refusal::BAD_REQUEST)?;
        Ok(Upgrade {
            head_len,
            path,
            query,
            host: self.only("host")?.ok_or(Refusal::BAD_REQUEST)?,
            origin: self.only("origin")?,
            protocols: self.tokens("sec-websocket-protocol").collect(),
            forwarded_for: self.all("x-forwarded-for").last().and_then(as_text),
            authorization: self.only("authorization")?,
            key,
        })
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &'b [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The value of a header that must not come twice.
    fn only(&self, name: &'static str) -> Result<Option<&'b str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::BAD_REQUEST);
        }
        first.map(|value| as_text(value).ok_or(Refusal::BAD_REQUEST)).transpose()
    }

    /// The elements of a comma-separated header, over all its lines.
    fn tokens(&self, name: &'static str) -> impl Iterator<Item = &'b str> {
        self.all(name)
            .filter_map(as_text)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|token| !token.is_empty())
    }

    fn lists(&self, name: &'static str, token: &str) -> bool {
        self.tokens(name).any(|listed| listed.eq_ignore_ascii_case(token))
    }
}

fn as_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// A key is 16 bytes in base64.
pub(super) fn is_key(key: &str) -> bool {
    key.len() == 24 && STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// Path and query of a target in origin form or, as some proxies send it, in absolute form.
fn split_target(target: &str) -> Option<(&str, Option<&str>)> {
    let origin_form = match target.split_once("://") {
        Some(("http" | "https" | "ws" | "wss", rest)) => &rest[rest.find('/')?..],
        _ => target,
    };
    if !origin_form.starts_with('/') {
        return None;
    }
    Some(match origin_form.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (origin_form, None),
    })
}
