//! `patchbay.console.v1.Events`: the stream of domain events as people and programs read it.

use patchbay_auth::{Identity, MethodScopes, Requirement};
use patchbay_backplane::{Cursor, Epoch, Position, SharedBackplane};
use patchbay_chassis::{ErrorCode, ServiceError, error};
use patchbay_events::{EventError, EventPage, Placed, Reader};
use patchbay_proto::console::v1::{Event, ListEventsRequest, ListEventsResponse, events_server::Events};
use std::{sync::Arc, time::Duration};
use tonic::{Code, Request, Response, Status};

/// Time for the backplane to answer one read.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Events of a page where the caller does not say how many, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// Bytes of an answer's events; the rest is left for the next page. A gRPC message has 4 MiB at most, and one event 64 KiB.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Entries read at once, and looked at for one call: a prefix that few have must not make one call read everything.
const READ: usize = 100;
const MAX_READS: usize = 20;

/// Characters of a prefix of a type at most.
const MAX_PREFIX: usize = 128;

/// Characters of the epoch in a position at most.
const MAX_EPOCH: usize = 64;

/// Adds who may call what.
pub(crate) fn with_methods(methods: MethodScopes) -> MethodScopes {
    let read = Requirement::Scope { service: "console", action: "read" };
    methods.method("/patchbay.console.v1.Events/ListEvents", read)
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("a token with scope `console:read:events` is required")]
    Denied,
    #[error("`{field}` {problem}")]
    BadRequest { field: &'static str, problem: String },
    #[error("the stream of events does not answer, try again")]
    Unavailable(#[source] Option<EventError>),
    #[error("internal error")]
    Internal(#[source] EventError),
}

impl ListError {
    fn bad(field: &'static str, problem: impl Into<String>) -> Self {
        Self::BadRequest { field, problem: problem.into() }
    }
}

impl ServiceError for ListError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Denied => ErrorCode::new(Code::PermissionDenied, "PERMISSION_DENIED"),
            Self::BadRequest { .. } => ErrorCode::new(Code::InvalidArgument, "BAD_REQUEST"),
            Self::Unavailable(_) => ErrorCode::new(Code::Unavailable, "UNAVAILABLE"),
            Self::Internal(_) => ErrorCode::new(Code::Internal, "INTERNAL"),
        }
    }

    fn violations(&self) -> Vec<(String, String)> {
        match self {
            Self::BadRequest { field, problem } => vec![((*field).to_owned(), problem.clone())],
            _ => Vec::new(),
        }
    }
}

impl From<EventError> for ListError {
    fn from(error: EventError) -> Self {
        if error.is_temporary() { Self::Unavailable(Some(error)) } else { Self::Internal(error) }
    }
}

/// The service.
pub(crate) struct EventsService {
    reader: Reader,
}

/// Where a page begins, and which way it goes.
enum Start {
    /// Newest first, from the top.
    Top,
    /// Newest first, older than an event that an answer ended with.
    Before(Position),
    /// Oldest first, newer than a place that an answer named.
    After(Position),
}

impl Start {
    fn of(request: &ListEventsRequest) -> Result<Self, ListError> {
        match (request.page_token.as_str(), request.after.as_str()) {
            ("", "") => Ok(Self::Top),
            (token, "") => Ok(Self::Before(parse("page_token", token)?)),
            ("", after) => Ok(Self::After(parse("after", after)?)),
            _ => Err(ListError::bad("after", "must not be set beside page_token")),
        }
    }
}

/// What one call gathers: events until there are enough, or enough entries were looked at.
struct Gathering {
    prefix: String,
    size: usize,
    events: Vec<Event>,
    bytes: usize,
}

impl Gathering {
    fn of(request: ListEventsRequest) -> Result<Self, ListError> {
        let size = match usize::try_from(request.page_size).unwrap_or(usize::MAX) {
            0 => PAGE,
            size if size <= MAX_PAGE => size,
            _ => return Err(ListError::bad("page_size", format!("must be {MAX_PAGE} at most"))),
        };
        if request.type_prefix.len() > MAX_PREFIX {
            return Err(ListError::bad("type_prefix", format!("must have {MAX_PREFIX} bytes at most")));
        }
        Ok(Self { prefix: request.type_prefix, size, events: Vec::new(), bytes: 0 })
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.size || self.bytes >= MAX_BYTES
    }

    /// Takes events until it is full; the offset of the last one looked at, where some were left.
    fn take(&mut self, events: Vec<Placed>) -> Option<u64> {
        let mut last = None;
        for placed in events {
            if self.is_full() {
                return last;
            }
            last = Some(placed.offset);
            if placed.event.kind.starts_with(&self.prefix) {
                let event = shown(placed);
                self.bytes += prost::Message::encoded_len(&event);
                self.events.push(event);
            }
        }
        None
    }
}

/// How far a call has read.
struct Read {
    /// The last entry that was looked at; where nothing was, where the call began.
    last: u64,
    /// Top of the stream when it was read first.
    top: Position,
    more: bool,
    is_whole: bool,
}

impl EventsService {
    pub(crate) fn new(backplane: SharedBackplane) -> Self {
        Self { reader: Reader::new(backplane) }
    }

    async fn list(
        &self,
        identity: Option<&Arc<Identity>>,
        request: ListEventsRequest,
    ) -> Result<ListEventsResponse, ListError> {
        if !identity.is_some_and(|identity| identity.allows("console", "read", "events")) {
            return Err(ListError::Denied);
        }
        let start = Start::of(&request)?;
        let gathering = Gathering::of(request)?;
        match start {
            Start::Top => self.older(u64::MAX, None, gathering).await,
            Start::Before(token) => self.older(token.offset, Some(token.epoch), gathering).await,
            Start::After(position) => self.newer(position, gathering).await,
        }
    }

    /// Newest first, with a smaller offset than `before`, in the numbering that the caller knows.
    async fn older(
        &self,
        before: u64,
        epoch: Option<Epoch>,
        mut gathering: Gathering,
    ) -> Result<ListEventsResponse, ListError> {
        let read = self.gather(Cursor::Before(before), &mut gathering).await?;
        let epoch_now = read.top.epoch;
        if epoch.is_some_and(|epoch| epoch != epoch_now) {
            return Err(ListError::bad("page_token", "is of a stream that has begun anew; ask without it"));
        }
        let newest = before.saturating_sub(1).min(read.top.offset);
        let next = read.more.then(|| written(&epoch_now, read.last));
        Ok(ListEventsResponse {
            events: gathering.events,
            next_page_token: next.unwrap_or_default(),
            position: written(&epoch_now, newest),
            has_more: false,
            is_lossy: false,
        })
    }

    /// Oldest first, after a position; from the oldest that is kept where its numbering is over.
    async fn newer(
        &self,
        after: Position,
        mut gathering: Gathering,
    ) -> Result<ListEventsResponse, ListError> {
        let top = self.page(Cursor::Before(u64::MAX), 0).await?.top;
        let is_known = top.epoch == after.epoch;
        let since = if is_known { after.offset } else { 0 };
        let read = self.gather(Cursor::After(since), &mut gathering).await?;
        Ok(ListEventsResponse {
            events: gathering.events,
            next_page_token: String::new(),
            position: written(&read.top.epoch, read.last),
            has_more: read.more,
            is_lossy: !is_known || !read.is_whole,
        })
    }

    /// Reads until there is enough; the pages of one numbering only.
    async fn gather(&self, from: Cursor, gathering: &mut Gathering) -> Result<Read, ListError> {
        let first = self.page(from, READ).await?;
        let begin = match from {
            // With nothing after it the place is the top, even where the caller's was above it.
            Cursor::After(_) => first.top.offset,
            Cursor::Before(offset) => offset,
        };
        let mut read =
            Read { last: begin, top: first.top.clone(), more: first.more, is_whole: first.is_whole };
        let mut page = first;
        for reads in 1.. {
            let end = page.last;
            if let Some(last) = gathering.take(page.events) {
                return Ok(Read { last, more: true, ..read });
            }
            read.last = end.unwrap_or(read.last);
            read.more = page.more;
            if !read.more || gathering.is_full() || reads == MAX_READS {
                break;
            }
            page = self.page(further(from, read.last), READ).await?;
            if page.top.epoch != read.top.epoch {
                break;
            }
        }
        Ok(read)
    }

    async fn page(&self, cursor: Cursor, limit: usize) -> Result<EventPage, ListError> {
        let page = tokio::time::timeout(TIMEOUT, self.reader.page(cursor, limit)).await;
        Ok(page.map_err(|_| ListError::Unavailable(None))??)
    }
}

#[tonic::async_trait]
impl Events for EventsService {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let identity = request.extensions().get().cloned();
        let listed = self.list(identity.as_ref(), request.into_inner()).await;
        listed.map(Response::new).map_err(|refused| error::to_status("console", &refused))
    }
}

/// The same way, from where a page ended.
fn further(way: Cursor, last: u64) -> Cursor {
    match way {
        Cursor::After(_) => Cursor::After(last),
        Cursor::Before(_) => Cursor::Before(last),
    }
}

/// A position as callers carry it: `<epoch>:<offset>`.
fn written(epoch: &Epoch, offset: u64) -> String {
    format!("{epoch}:{offset}")
}

fn parse(field: &'static str, text: &str) -> Result<Position, ListError> {
    let split = text.rsplit_once(':').filter(|(epoch, _)| !epoch.is_empty() && epoch.len() <= MAX_EPOCH);
    let position = split.and_then(|(epoch, offset)| {
        Some(Position { epoch: Epoch(epoch.into()), offset: offset.parse().ok()? })
    });
    position.ok_or_else(|| ListError::bad(field, "is not from an answer"))
}

fn shown(placed: Placed) -> Event {
    let event = placed.event;
    let time =
        prost_types::Timestamp { seconds: event.time.as_second(), nanos: event.time.subsec_nanosecond() };
    Event {
        id: event.id,
        source: event.source,
        r#type: event.kind,
        subject: event.subject,
        time: Some(time),
        data: event.data.to_string(),
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
