//! A server for tests that answers as each test has it, byte by byte: what no real server would send as well.

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use url::Url;

/// Answers one request on a connection.
pub(crate) type Handler = Arc<dyn Fn(Asked, TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) head: String,
}

impl Asked {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The server; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Asked>>>::default());
        let task = {
            let asked = Arc::clone(&asked);
            tokio::runtime::Handle::current().spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (handler, asked) = (Arc::clone(&handler), Arc::clone(&asked));
                    connections.spawn(async move { serve(stream, &handler, &asked).await });
                }
            })
        };
        Self { address, asked, task }
    }

    /// Answers every request with these bytes, and closes.
    pub(crate) async fn always(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes.into());
        Self::start(Arc::new(move |_, stream| send(stream, bytes.to_vec()).boxed())).await
    }

    /// Answers by path; 404 for others.
    pub(crate) async fn files(files: Vec<(&str, Vec<u8>)>) -> Self {
        let files: Vec<_> = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect();
        Self::start(Arc::new(move |asked, stream| {
            let found = files.iter().find(|(path, _)| *path == asked.path);
            let answer = found.map_or_else(|| status("404 Not Found"), |(_, bytes)| ranged(&asked, bytes));
            send(stream, answer).boxed()
        }))
        .await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, handler: &Handler, seen: &Mutex<Vec<Asked>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { path, head };
    seen.lock().push(asked.clone());
    handler(asked, stream).await;
}

/// Sends and closes. Whoever asked may be gone.
pub(crate) async fn send(mut stream: TcpStream, bytes: Vec<u8>) {
    if stream.write_all(&bytes).await.is_ok() {
        drop(stream.shutdown().await);
    }
}

/// An answer without a body.
pub(crate) fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// An answer with a body.
pub(crate) fn ok(media_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A file, or the part of it that was asked for.
fn ranged(asked: &Asked, bytes: &[u8]) -> Vec<u8> {
    let from = asked
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let (line, part) = match from {
        Some(from) => ("206 Partial Content", &bytes[from.min(bytes.len())..]),
        None => ("200 OK", bytes),
    };
    let media_type = match asked.path.rsplit('.').next() {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("html") => "text/html",
        _ => "application/octet-stream",
    };
    let length = part.len();
    let head = format!(
        "HTTP/1.1 {line}\r\nContent-Type: {media_type}\r\nAccept-Ranges: bytes\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), part].concat()
}
