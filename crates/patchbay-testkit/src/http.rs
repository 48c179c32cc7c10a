//! The little HTTP that tests need: one request, one answer, connection closed.

use anyhow::{Context, Result};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time for a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// Body as text.
    pub body: String,
}

/// Sends `GET path` with extra header lines and returns the answer.
pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    timeout(TIMEOUT, exchange(address, ("GET", path), headers, "")).await.context("no answer in time")?
}

/// Sends `POST path` with extra header lines and a body, and returns the answer.
pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
    timeout(TIMEOUT, exchange(address, ("POST", path), headers, body)).await.context("no answer in time")?
}

async fn exchange(
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    if !body.is_empty() {
        request.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        request.push_str("Connection: close\r\n");
    }
    request.extend(["\r\n", body]);
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
    let status =
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
