//! Where there is nothing to probe: every failure has a word of its own and says what can be done.

use crate::probe::{Probed, run};
use anyhow::{Result, ensure};
use integration_tests::verdict::TestResult;
use patchbay_testkit::ports::free_address;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Manner {
    /// Takes it and says nothing.
    Silent,
    /// Closes it at once.
    Closing,
    /// Reads, says this, and closes it.
    Answering(&'static [u8]),
    /// Says this first, and then the other to whatever it reads.
    Greeting(&'static [u8], &'static [u8]),
}

/// A server that ends with the test.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server(manner: Manner) -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let task = tokio::task::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            match manner {
                Manner::Silent => kept.push(stream),
                // What the other side makes of it is what the test looks at.
                _ => drop(tokio::task::spawn(async move { drop(behave(stream, manner).await) })),
            }
        }
    });
    Ok(Server { address, task })
}

async fn behave(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    match manner {
        Manner::Silent | Manner::Closing => Ok(()),
        Manner::Answering(words) => {
            let _length = stream.read(&mut buffer).await?;
            stream.write_all(words).await
        }
        Manner::Greeting(greeting, answer) => {
            stream.write_all(greeting).await?;
            while stream.read(&mut buffer).await? > 0 {
                stream.write_all(answer).await?;
            }
            Ok(())
        }
    }
}

/// The failure, and that it is told with words and an exit code.
async fn failure(arguments: &[&str]) -> Result<Probed> {
    let probed = run(arguments).await?;
    ensure!(probed.code == Some(1), "the exit code is {:?}", probed.code);
    ensure!(
        probed.report["grade"].is_null() && !probed.text("/failure_message").is_empty(),
        "{}",
        probed.report
    );
    ensure!(probed.errors.contains(probed.text("/failure_message")), "{}", probed.errors);
    Ok(probed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_apart() -> TestResult {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for (manner, word, told) in [
        (Manner::Closing, "connection_closed", ""),
        (Manner::Answering(http), "not_tls", "HTTP"),
        (Manner::Greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n", b""), "not_tls", "SSH"),
        (Manner::Answering(&[21, 3, 1, 0, 2, 2, 40]), "handshake_refused", "handshake_failure"),
    ] {
        let server = server(manner).await?;
        let probed = failure(&[&server.address.to_string()]).await?;
        assert_eq!(probed.text("/failure"), word, "{}", probed.report);
        assert!(probed.text("/failure_message").contains(told), "{}", probed.text("/failure_message"));
    }
    let nobody = failure(&[&free_address().to_string()]).await?;
    assert_eq!(nobody.text("/failure"), "connection_refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_does_not_hold_it_up() -> TestResult {
    let server = server(Manner::Silent).await?;
    let probed = failure(&[&server.address.to_string(), "--deadline", "2"]).await?;
    assert_eq!(probed.text("/failure"), "timed_out");
    let took = probed.report["took_milliseconds"].as_u64().unwrap_or(u64::MAX);
    assert!((1500..6000).contains(&took), "{took} ms for a deadline of 2 s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_that_does_not_change_to_tls_is_told() -> TestResult {
    for (protocol, greeting, answer) in [
        ("ftp", &b"220 ready\r\n"[..], &b"502 no such command\r\n"[..]),
        ("smtp", b"220 mail ESMTP\r\n", b"250 mail\r\n"),
        ("imap", b"* OK IMAP4rev2 ready\r\n", b"* CAPABILITY IMAP4rev2\r\na1 OK done\r\n"),
    ] {
        let server = server(Manner::Greeting(greeting, answer)).await?;
        let probed = failure(&[&server.address.to_string(), "--starttls", protocol]).await?;
        assert_eq!(probed.text("/failure"), "start_tls_refused", "{protocol}: {}", probed.report);
    }
    Ok(())
}

#[tokio::test]
async fn names_that_cannot_be_looked_up_are_told() -> TestResult {
    // The top-level domain is reserved for this (RFC 6761 section 6.4). Where no name server answers that is another failure.
    let probed = failure(&["nobody.invalid", "--deadline", "5"]).await?;
    assert!(["name_not_found", "timed_out"].contains(&probed.text("/failure")), "{}", probed.report);
    Ok(())
}

#[tokio::test]
async fn hosts_that_are_none_are_refused() -> TestResult {
    for host in [
        "",
        "exa mple.com",
        "example.com:0",
        "example.com:70000",
        "gopher://example.com",
        "user@example.com",
        "127.1",
    ] {
        let error = run([host]).await.err().map(|error| format!("{error:#}"));
        assert!(error.is_some_and(|error| error.contains("error: ")), "{host:?} was probed");
    }
    Ok(())
}
