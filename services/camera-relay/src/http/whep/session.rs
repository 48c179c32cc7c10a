//! The sessions of this replica's WHEP viewers. Each has a task that owns the viewer; requests reach it through a short queue.

use crate::viewing::{End, Happened, Viewing, Viewings};
use http::StatusCode;
use parking_lot::Mutex;
use patchbay_rtc::sdp::Fragment;
use patchbay_transcode::Problem;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// Orders that wait for a session's task; who brings more is told to come back.
const ORDERS: usize = 4;

/// Time for a session's task to obey.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions that have ended and are remembered.
const REMEMBERED: usize = 256;

/// Hexadecimal digits of what only the viewer knows: 128 bits.
const SECRET_DIGITS: usize = 32;

/// Id of a session: `<viewer's id>.<secret>`. Operators see the ids of viewers, and the secret keeps a session its viewer's own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionId(Arc<str>);

impl SessionId {
    /// Reads an id; `None` for what cannot be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (viewer, secret) = text.rsplit_once('.')?;
        let fits = secret.len() == SECRET_DIGITS && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        crate::viewers::ViewerId::parse(viewer).filter(|_| fits).map(|_| Self(text.into()))
    }

    /// The replica that has the session.
    pub(super) fn replica(&self) -> &str {
        self.0.rsplitn(3, '.').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All sessions. There are no more than viewers may be.
pub(in crate::http) struct Sessions {
    viewings: Arc<Viewings>,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    sessions: HashMap<SessionId, Handle>,
    /// The newest that have ended, newest last: a page that closes its connection says so twice, and `DELETE` may be the second.
    ended: VecDeque<SessionId>,
}

/// What is known of a session.
pub(super) enum Found {
    /// It is there.
    Open(Handle),
    /// It has ended lately.
    Ended,
    /// It never was, or not lately.
    Unknown,
}

/// A way to a session.
#[derive(Clone)]
pub(super) struct Handle {
    camera: Arc<str>,
    orders: mpsc::Sender<Order>,
    tag: watch::Receiver<Arc<str>>,
}

enum Order {
    Change(Fragment, oneshot::Sender<Restart>),
    End(oneshot::Sender<()>),
}

/// What came of a fragment.
#[derive(Debug)]
pub(super) enum Restart {
    /// It had only candidates: ours is a lite agent, which learns from checks where the viewer is.
    No,
    /// ICE was restarted.
    Done {
        /// Our new credentials, as a fragment.
        answer: String,
        /// The new entity tag.
        tag: Arc<str>,
    },
}

impl Sessions {
    pub(in crate::http) fn new(viewings: &Arc<Viewings>) -> Self {
        Self { viewings: Arc::clone(viewings), open: Arc::default() }
    }

    /// Begins a session; tells its id and entity tag.
    pub(super) fn begin(&self, viewing: Viewing) -> (SessionId, Arc<str>) {
        let context = &self.viewings.core.context;
        let secret = context.ids.random_hex(SECRET_DIGITS);
        let id = SessionId(format!("{}.{secret}", viewing.registration().id().as_str()).into());
        let first = new_tag(&self.viewings);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (tag, told) = watch::channel(Arc::clone(&first));
        let camera = viewing.registration().camera().as_str().into();
        self.open.lock().sessions.insert(id.clone(), Handle { camera, orders, tag: told });
        let entry = Entry { id: id.clone(), open: Arc::clone(&self.open) };
        let session = Session { viewings: Arc::clone(&self.viewings), viewing, ordered, tag, _entry: entry };
        drop(context.tasks.spawn("whep-viewer", session.run()));
        (id, first)
    }

    pub(super) fn find(&self, id: &SessionId) -> Found {
        self.open.lock().find(id)
    }

    /// What obeys requests that came to other replicas.
    pub(in crate::http) fn keeper(&self) -> Keeper {
        Keeper { open: Arc::downgrade(&self.open) }
    }
}

impl Open {
    fn find(&self, id: &SessionId) -> Found {
        match self.sessions.get(id) {
            Some(handle) => Found::Open(handle.clone()),
            None if self.ended.contains(id) => Found::Ended,
            None => Found::Unknown,
        }
    }
}

/// Finds sessions for requests that came to other replicas.
pub(in crate::http) struct Keeper {
    open: Weak<Mutex<Open>>,
}

impl Keeper {
    pub(super) fn find(&self, id: &SessionId) -> Found {
        self.open.upgrade().map_or(Found::Unknown, |open| open.lock().find(id))
    }
}

fn new_tag(viewings: &Viewings) -> Arc<str> {
    format!("\"{}\"", viewings.core.context.ids.random_hex(16)).into()
}

impl Handle {
    pub(super) fn camera(&self) -> &str {
        &self.camera
    }

    /// The current entity tag.
    pub(super) fn tag(&self) -> Arc<str> {
        Arc::clone(&self.tag.borrow())
    }

    /// Takes a fragment.
    pub(super) async fn change(&self, fragment: Fragment) -> Result<Restart, Problem> {
        let (reply, told) = oneshot::channel();
        self.orders.try_send(Order::Change(fragment, reply)).map_err(|_| busy())?;
        tokio::time::timeout(PATIENCE, told).await.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// Ends the session and waits until it has gone.
    pub(super) async fn end(&self) {
        let (reply, told) = oneshot::channel();
        // Where the queue is gone the session is, and where it is full somebody ends it at the same time or floods his own.
        if self.orders.send_timeout(Order::End(reply), PATIENCE).await.is_ok() {
            // It ends by being dropped, with the reply or before it.
            drop(tokio::time::timeout(PATIENCE, told).await);
        }
    }
}

fn busy() -> Problem {
    let mut problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "BUSY",
        "the session does not keep up or has just ended",
    );
    problem.retry_after = Some(Duration::from_secs(1));
    problem
}

/// A place in the map, given back when dropped.
struct Entry {
    id: SessionId,
    open: Arc<Mutex<Open>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.sessions.remove(&self.id);
        if open.ended.len() >= REMEMBERED {
            open.ended.pop_front();
        }
        open.ended.push_back(self.id.clone());
    }
}

/// One session.
struct Session {
    viewings: Arc<Viewings>,
    viewing: Viewing,
    ordered: mpsc::Receiver<Order>,
    tag: watch::Sender<Arc<str>>,
    _entry: Entry,
}

impl Session {
    async fn run(mut self) {
        let (end, _reply) = self.serve().await;
        self.viewing.close(end);
    }

    /// Until the end; whoever has asked for it is told when what is returned is dropped.
    async fn serve(&mut self) -> (End, Option<oneshot::Sender<()>>) {
        loop {
            // Cancel-safe both.
            tokio::select! {
                happened = self.viewing.next() => if let Happened::Ended(end) = happened {
                    return (end, None);
                },
                order = self.ordered.recv() => match order {
                    Some(Order::Change(fragment, reply)) => {
                        // Who has asked may have gone meanwhile.
                        drop(reply.send(self.change(&fragment)));
                    }
                    Some(Order::End(reply)) => return (End::Gone, Some(reply)),
                    // The map has a sender until the entry is dropped.
                    None => return (End::Gone, None),
                },
            }
        }
    }

    fn change(&self, fragment: &Fragment) -> Restart {
        let current = self.viewing.remote_credentials();
        let Some(credentials) = fragment.ice.clone().filter(|ice| *ice != current) else {
            return Restart::No;
        };
        let answer = fragment_of(&self.viewing.restart(&credentials).to_sdp());
        let tag = new_tag(&self.viewings);
        self.tag.send_replace(Arc::clone(&tag));
        Restart::Done { answer, tag }
    }
}

/// What of a description belongs to ICE (RFC 8840, section 9.2; RFC 9725, section 4.3.3).
fn fragment_of(description: &str) -> String {
    const KEPT: [&str; 9] = [
        "a=ice-lite",
        "a=group:",
        "m=",
        "a=mid:",
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=ice-options:",
        "a=candidate:",
        "a=end-of-candidates",
    ];
    let lines = description.lines().filter(|line| KEPT.iter().any(|kept| line.starts_with(kept)));
    lines.fold(String::new(), |text, line| text + line + "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_has_what_belongs_to_ice() {
        let description = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=ice-lite\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
                           a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00\r\na=rtpmap:96 VP8/90000\r\n\
                           a=candidate:1 1 udp 1 192.0.2.1 8189 typ host\r\na=end-of-candidates\r\n";
        let fragment = fragment_of(description);
        assert_eq!(fragment.lines().count(), 8, "{fragment}");
        let read = patchbay_rtc::sdp::Offer::parse_fragment(&fragment).unwrap();
        assert_eq!(
            (read.ice.unwrap().ufrag.as_str(), read.candidates.len(), read.complete),
            ("abcd", 1, true)
        );
    }

    #[test]
    fn an_id_names_the_replica_and_has_a_secret() {
        let (viewer, secret) = ("a".repeat(32), "b".repeat(32));
        let text = format!("relay-1.example.{viewer}.{secret}");
        let id = SessionId::parse(&text).unwrap();
        assert_eq!((id.replica(), id.to_string()), ("relay-1.example", text.clone()));
        for bad in [
            "",
            ".",
            &text[1..30],
            &format!("relay-1.{viewer}"),
            &format!("{text}0"),
            &text.replace('b', "x"),
        ] {
            assert!(SessionId::parse(bad).is_none(), "{bad}");
        }
    }
}
