//! Sends every message back: the subject of the Autobahn suite (`scripts/test-autobahn`) and of the
//! tests with foreign clients. `cargo run -p patchbay-websocket --example echo -- 127.0.0.1:9001`
//! prints the address that it listens on.

use std::io::{self, Write as _};

use patchbay_websocket::handshake::{Handshake, Limits, Refusal};
use patchbay_websocket::{Decoder, Event, OpCode, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The largest message of the Autobahn suite is 16 MiB.
const MAX_MESSAGE: u32 = 16 << 20;

/// Whether to go on with a connection.
#[derive(PartialEq, Eq)]
enum Flow {
    GoOn,
    End,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => drop(connections.spawn(serve(accepted?.0))),
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let Some((mut from, mut until)) = shake_hands(&mut stream, &mut buffer).await? else {
        return Ok(());
    };
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut answers = Vec::new();
    loop {
        let flow = answer(&mut decoder, &mut buffer[from..until], &mut answers);
        stream.write_all(&answers).await?;
        answers.clear();
        if flow == Flow::End {
            return stream.shutdown().await;
        }
        (from, until) = (0, stream.read(&mut buffer).await?);
        if until == 0 {
            return Ok(());
        }
    }
}

/// Answers the handshake, and tells where in the buffer the first frames are.
async fn shake_hands(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<(usize, usize)>> {
    let mut len = 0;
    loop {
        let read = stream.read(&mut buffer[len..]).await?;
        len += read;
        let refusal = match Handshake::parse(&buffer[..len], Limits::default()) {
            Handshake::NeedMore if read > 0 => continue,
            Handshake::NeedMore => return Ok(None),
            Handshake::Upgrade(upgrade) => {
                stream.write_all(&upgrade.accept(None)).await?;
                return Ok(Some((upgrade.head_len, len)));
            }
            Handshake::NotUpgrade(_) => Refusal::new(404, "Not Found"),
            Handshake::Bad(refusal) => refusal,
        };
        stream.write_all(&refusal.response()).await?;
        return Ok(None);
    }
}

fn answer(decoder: &mut Decoder, mut input: &mut [u8], out: &mut Vec<u8>) -> Flow {
    loop {
        match decoder.decode(&mut input) {
            Ok(None) => return Flow::GoOn,
            Ok(Some(Event::Text(text))) => encode::put_frame(out, OpCode::Text, text.as_bytes()),
            Ok(Some(Event::Binary(bytes))) => encode::put_frame(out, OpCode::Binary, bytes),
            Ok(Some(Event::Ping(payload))) => out.extend_from_slice(&encode::pong_frame(payload)),
            Ok(Some(Event::Pong(_))) => {}
            Ok(Some(Event::Close { code: None, .. })) => {
                out.extend_from_slice(&encode::empty_close_frame());
                return Flow::End;
            }
            Ok(Some(Event::Close { code: Some(code), .. })) => {
                out.extend_from_slice(&encode::close_frame(code, ""));
                return Flow::End;
            }
            Err(error) => {
                out.extend_from_slice(&encode::close_frame(error.close_code(), &error.to_string()));
                return Flow::End;
            }
        }
    }
}
