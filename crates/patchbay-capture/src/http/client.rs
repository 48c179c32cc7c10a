//! Requests, logins and redirects.

use super::{
    Body, HttpError, HttpTarget,
    login::{Challenge, Login},
    wire::{Transport, Wire},
};
use crate::tls;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{
        ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap,
        HeaderValue, LOCATION, RANGE, USER_AGENT, WWW_AUTHENTICATE,
    },
};
use hyper_util::rt::TokioIo;
use patchbay_egress::Host;
use tokio::time::timeout;
use url::Url;

/// Most redirects of one request.
pub(super) const REDIRECTS: u32 = 5;
/// Most bytes of the head of an answer.
const HEAD_BYTES: usize = 64 * 1024;
/// Most lines of it.
const HEAD_LINES: usize = 100;

/// Fetches from one source.
pub struct HttpClient {
    target: HttpTarget,
    login: Login,
}

/// An answer with status 200, or 206 where a part was asked for.
pub struct Answer {
    /// Where it came from, after redirects.
    pub url: Url,
    /// `Content-Type` in lower case without parameters; empty where there is none.
    pub media_type: String,
    /// `Content-Type` as it came.
    pub content_type: String,
    /// Length of the whole, where it is told.
    pub length: Option<u64>,
    /// Parts can be asked for.
    pub has_ranges: bool,
    /// What comes.
    pub body: Body,
}

/// An answer with whatever status: only of redirects and of logins that were asked for was made something.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// What comes.
    pub body: Body,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// What is there, from a byte on where that is not 0.
    Get { from: u64 },
    /// What is answered to this.
    Post { content_type: &'a str, content: &'a Bytes },
}

impl Question<'_> {
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Get { .. } => Method::GET,
            Self::Post { .. } => Method::POST,
        }
    }

    pub(super) fn content(&self) -> Bytes {
        match self {
            Self::Get { .. } => Bytes::new(),
            Self::Post { content, .. } => Bytes::clone(content),
        }
    }
}

impl HttpClient {
    /// Checks the address; nothing is connected to yet.
    pub fn new(target: HttpTarget) -> Result<Self, HttpError> {
        check(&target.url)?;
        host(&target.url)?;
        if !target.url.username().is_empty() || target.url.password().is_some() {
            return Err(HttpError::LoginInAddress);
        }
        Ok(Self { target, login: Login::default() })
    }

    /// The target.
    pub fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// Fetches an address, from a byte on where that is not 0.
    pub async fn get(&self, url: &Url, from: u64) -> Result<Answer, HttpError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            check(&url)?;
            let (response, wire) = self.ask(&url, Question::Get { from }).await?;
            if is_redirect(response.status()) {
                url = location(&url, response.headers())?;
                continue;
            }
            return self.judge(url, from, response, wire);
        }
        Err(HttpError::TooManyRedirects)
    }

    /// Sends something to the address of the target. Redirects are not followed: what was meant for one host is not said to another. A login without
    /// encryption is done by Digest alone, and a host that refuses without asking for one is left to the caller.
    pub async fn post(&self, content_type: &str, content: Bytes) -> Result<Reply, HttpError> {
        let url = &self.target.url;
        let question = Question::Post { content_type, content: &content };
        let (response, wire) = self.ask(url, question).await?;
        let (head, incoming) = response.into_parts();
        if is_redirect(head.status) {
            let host = host(url)?.to_string();
            return Err(HttpError::Redirected { host, status: head.status.as_u16() });
        }
        Ok(Reply { status: head.status, body: Body::new(incoming, wire, self.target.limits) })
    }

    /// One address, with a login where its host asks for one.
    async fn ask(&self, url: &Url, question: Question<'_>) -> Result<(Response<Incoming>, Wire), HttpError> {
        let is_own = url.origin() == self.target.url.origin();
        let credentials = self.target.credentials.as_ref().filter(|_| is_own);
        let path = path(url);
        let authorization =
            || credentials.and_then(|login| self.login.authorization(login, &path, &question));
        let is_post = matches!(question, Question::Post { .. });
        let (response, wire) = self.send(url, question, authorization()).await?;
        let asks_nothing = is_post && !response.headers().contains_key(WWW_AUTHENTICATE);
        if response.status() != StatusCode::UNAUTHORIZED || asks_nothing {
            return Ok((response, wire));
        }
        let host = host(url)?.to_string();
        if !is_own {
            return Err(HttpError::LoginElsewhere(host));
        }
        if credentials.is_none() {
            return Err(HttpError::LoginNeeded(host));
        }
        let challenge = Challenge::read(response.headers())
            .map_err(|reason| HttpError::LoginUnknown { host: host.clone(), reason })?;
        if is_post && url.scheme() == "http" && challenge.is_readable() {
            return Err(HttpError::LoginInClear(host));
        }
        self.login.keep(challenge);
        drop((response, wire));
        let (response, wire) = self.send(url, question, authorization()).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(HttpError::LoginRefused(host)),
            _ => Ok((response, wire)),
        }
    }

    /// One request on a connection of its own.
    async fn send(
        &self,
        url: &Url,
        question: Question<'_>,
        authorization: Option<String>,
    ) -> Result<(Response<Incoming>, Wire), HttpError> {
        let host = host(url)?;
        let transport = self.connect(url, &host).await?;
        let within = self.target.limits.connect_timeout;
        let malformed = |error: hyper::Error| {
            let reason = error.to_string();
            HttpError::Malformed { host: host.to_string(), reason }
        };
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_LINES)
            .title_case_headers(true)
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake::<_, Full<Bytes>>(TokioIo::new(transport));
        let (mut sender, connection) = handshake.await.map_err(malformed)?;
        // What goes wrong with the connection is told by the answer or its body as well.
        let mut wire = Wire::new(async move { drop(connection.await) });
        let request = request(url, question, authorization)?;
        let answered = timeout(within, wire.drive(sender.send_request(request))).await;
        let response = answered
            .map_err(|_| HttpError::NoAnswer { host: host.to_string(), seconds: within.as_secs() })?
            .map_err(malformed)?;
        Ok((response, wire))
    }

    async fn connect(&self, url: &Url, host: &Host) -> Result<Transport, HttpError> {
        let within = self.target.limits.connect_timeout;
        let port = url.port_or_known_default().unwrap_or(80);
        let (stream, _) = self.target.guard.connect(host, port, within).await?;
        if url.scheme() == "http" {
            return Ok(Transport::Plain(stream));
        }
        let stream = tls::connect(stream, host, self.target.trust, within).await?;
        Ok(Transport::Tls(Box::new(stream)))
    }

    fn judge(
        &self,
        url: Url,
        from: u64,
        response: Response<Incoming>,
        wire: Wire,
    ) -> Result<Answer, HttpError> {
        let status = response.status();
        let host = host(&url)?.to_string();
        match status.as_u16() {
            200 if from == 0 => {}
            206 if from > 0 => {}
            403 => return Err(HttpError::NotAllowed(host)),
            404 | 410 => return Err(HttpError::NotFound { host, status: status.as_u16() }),
            status => return Err(HttpError::Status { host, status }),
        }
        let (head, incoming) = response.into_parts();
        let text = |name| {
            head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default()
        };
        let content_type = text(CONTENT_TYPE).to_owned();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let length = text(CONTENT_LENGTH).parse::<u64>().ok().map(|length| length.saturating_add(from));
        let has_ranges = text(ACCEPT_RANGES).eq_ignore_ascii_case("bytes") || from > 0;
        let body = Body::new(incoming, wire, self.target.limits);
        Ok(Answer { url, media_type, content_type, length, has_ranges, body })
    }
}

fn check(url: &Url) -> Result<(), HttpError> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(HttpError::Scheme(other.chars().take(20).collect())),
    }
}

fn host(url: &Url) -> Result<Host, HttpError> {
    Ok(url.host_str().ok_or(HttpError::NoHost)?.parse()?)
}

fn path(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn request(
    url: &Url,
    question: Question<'_>,
    authorization: Option<String>,
) -> Result<Request<Full<Bytes>>, HttpError> {
    let host = url.host_str().ok_or(HttpError::NoHost)?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut builder = Request::builder()
        .method(question.method())
        .uri(path(url))
        .header(HOST, &host)
        .header(USER_AGENT, "patchbay")
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close");
    builder = match question {
        Question::Get { from: 0 } => builder,
        Question::Get { from } => builder.header(RANGE, format!("bytes={from}-")),
        Question::Post { content_type, .. } => builder.header(CONTENT_TYPE, content_type),
    };
    if let Some(authorization) = authorization {
        builder = builder.header(AUTHORIZATION, authorization);
    }
    let built = builder.body(Full::new(question.content()));
    built.map_err(|error| HttpError::Malformed { host, reason: error.to_string() })
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads. A login in it is left out.
fn location(url: &Url, headers: &HeaderMap) -> Result<Url, HttpError> {
    let told = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let joined = told.and_then(|told| url.join(told).ok());
    let mut joined =
        joined.ok_or_else(|| HttpError::NoLocation(url.host_str().unwrap_or_default().to_owned()))?;
    check(&joined)?;
    joined.set_username("").and_then(|()| joined.set_password(None)).map_err(|()| HttpError::NoHost)?;
    Ok(joined)
}
