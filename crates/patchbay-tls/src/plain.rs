//! What a client hears that speaks plain HTTP to a port with TLS.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\n\
content-type: text/plain; charset=utf-8\r\n\
content-length: 96\r\n\
connection: close\r\n\
\r\n\
This port speaks TLS: write https:// instead of http:// (or wss:// instead of ws://) before it.\n";

/// Bytes of a request that are read away, so that the system does not take the answer back when it closes the connection.
const MAX_REST: usize = 64 * 1024;

/// Time for it.
const REST: Duration = Duration::from_secs(1);

/// Whether a connection begins like a request of HTTP, whose methods are capital letters. TLS begins with 22.
pub(crate) async fn is_spoken(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first.iter().all(u8::is_ascii_uppercase)),
    }
}

/// Says it and closes.
pub(crate) async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    let rest = async {
        // Not within the future: every handshake would have room for it.
        let (mut read, mut piece) = (0, vec![0; 4096]);
        while read < MAX_REST {
            match stream.read(&mut piece).await {
                Ok(1..) => read += piece.len(),
                Ok(0) | Err(_) => return,
            }
        }
    };
    // Whoever goes on talking is not listened to.
    drop(timeout(REST, rest).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ANSWER;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let (head, body) = ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
