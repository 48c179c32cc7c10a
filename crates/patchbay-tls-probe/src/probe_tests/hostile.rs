//! Servers that would do harm: they send without end, or slowly, or too much, or words that a terminal obeys.

use super::{servers::fake, *};
use std::time::Instant;

/// Probes, and looks that it ended in time and told nothing that a terminal obeys.
async fn survived(what: &str, address: SocketAddr, start_tls: Option<StartTls>) -> Report {
    let target = Target::parse(&address.to_string(), start_tls, None).unwrap();
    let options = Options { deadline: std::time::Duration::from_secs(3), ..options() };
    let started = Instant::now();
    let report = probe(&target, &Guard::open(), &options).await.unwrap();
    let took = started.elapsed();
    println!("{what}: {took:?}, {} connections, {:?}", report.connections, report.failure);
    // Twice the deadline: what is left to do after it takes no time, and machines are busy.
    assert!(took < options.deadline * 2, "{what}: {took:?}");
    let told = report.incomplete.iter().chain([&report.failure_message]);
    assert!(told.into_iter().all(|told| !told.contains(char::is_control)), "{what}: {report:?}");
    assert!(report.connections <= options.connections);
    report
}

/// A server that waits for a hello and then says this for ever.
async fn endless(words: Vec<u8>) -> SocketAddr {
    saying(Vec::new(), words).await
}

/// A server that waits for a hello, says something once, and then something else for ever.
async fn saying(once: Vec<u8>, ever: Vec<u8>) -> SocketAddr {
    let (once, ever) = (Arc::new(once), Arc::new(ever));
    fake(move |mut stream: TcpStream| {
        let (once, ever) = (Arc::clone(&once), Arc::clone(&ever));
        async move {
            let _count = stream.read(&mut [0; 4096]).await;
            if stream.write_all(&once).await.is_err() {
                return;
            }
            while !ever.is_empty() && stream.write_all(&ever).await.is_ok() {}
            let _closed = stream.read(&mut [0; 4096]).await;
        }
    })
    .await
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], body].concat()
}

/// A hello of TLS 1.2 with ECDHE-RSA-AES128-GCM-SHA256, and one more message's header of this length.
fn hello_and(kind: u8, length: [u8; 3]) -> Vec<u8> {
    let body = [&[3, 3], &[7; 32][..], &[0, 0xc0, 0x2f, 0]].concat();
    let hello = [&[2, 0, 0, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    record(22, &[&hello[..], &[kind], &length].concat())
}

#[tokio::test]
async fn what_has_no_end_is_not_read_for_ever() {
    let hello = hello_and(11, [0xff, 0xff, 0xf0]);
    survived("16 MiB of certificates", saying(hello, record(22, &[0; 16_000])).await, None).await;
    // As many certificates of no length as a message may have, and more.
    let hello = hello_and(11, [3, 0xff, 0xfc]);
    survived("empty certificates", saying(hello, record(22, &[0; 16_000])).await, None).await;
    survived("empty records", endless(record(22, &[]).repeat(1000)).await, None).await;
    survived("records of one byte", endless(record(22, &[14]).repeat(1000)).await, None).await;
    survived("warnings", endless(record(21, &[1, 112]).repeat(1000)).await, None).await;
    let hello = hello_and(14, [0, 0, 1]);
    survived("requests for a hello", saying(hello, record(22, &[0; 4]).repeat(1000)).await, None).await;
    survived("encrypted records", endless(record(23, &[9; 16_000])).await, None).await;
    survived("random bytes", endless(vec![0x16, 0x03, 0x01, 0x40, 0x00, 0xaa, 0x55]).await, None).await;
    survived("text", endless(b"\x1b]0;owned\x07\x9b2J".repeat(1000)).await, None).await;
}

#[tokio::test]
async fn slow_bytes_are_not_waited_for_for_ever() {
    let slow = fake(async |mut stream: TcpStream| {
        let _count = stream.read(&mut [0; 4096]).await;
        for byte in record(22, &[0; 16_000]) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    });
    let report = survived("slow bytes", slow.await, None).await;
    assert_eq!(report.failure, Some(Failure::TimedOut));
    let slow = fake(async |mut stream: TcpStream| {
        while stream.write_all(b"2").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    });
    let report = survived("a slow greeting", slow.await, Some(StartTls::Smtp)).await;
    assert_eq!(report.failure, Some(Failure::TimedOut));
}

/// Each hello is answered with another version and suite, from all that there are.
#[tokio::test]
async fn a_server_that_answers_each_hello_differently_is_asked_no_more_often_than_allowed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let moody = fake(move |mut stream: TcpStream| {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            let _count = stream.read(&mut [0; 4096]).await;
            let suites = crate::suites::suites_for(Version::Tls12);
            let suite = suites.get(turn * 7 % suites.len()).unwrap().number.to_be_bytes();
            let minor = u8::try_from(turn % 4).unwrap();
            let body = [&[3, minor], &[7; 32][..], &[0], &suite, &[0]].concat();
            let hello = [&[2, 0, 0, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
            let _closed = stream.write_all(&record(22, &[&hello[..], &[14, 0, 0, 0]].concat())).await;
        }
    });
    survived("another answer each time", moody.await, None).await;
}

#[tokio::test]
async fn words_before_tls_are_quoted_and_nothing_that_a_terminal_obeys_is_shown() {
    let evil = "\u{1b}[31m\u{9b}2J\u{202e}\u{7}\u{8}".to_owned();
    for (start_tls, greeting) in [
        (StartTls::Smtp, format!("554 {evil}\r\n")),
        (StartTls::Smtp, format!("220 {evil}\r\n250 {evil}\r\n")),
        (StartTls::Ftp, format!("530 {evil}\r\n")),
        (StartTls::Imap, format!("* BYE {evil}\r\n")),
        (StartTls::Imap, format!("{evil}\r\n")),
        (StartTls::None, format!("HTTP/1.1 400 {evil}\r\n")),
        (StartTls::None, format!("SSH-2.0-{evil}\r\n")),
        (StartTls::None, format!("220 {evil}\r\n")),
    ] {
        let words = greeting.clone();
        let address = fake(move |mut stream: TcpStream| {
            let words = words.clone();
            async move {
                let _closed = stream.write_all(words.as_bytes()).await;
                let _closed = stream.read(&mut [0; 4096]).await;
            }
        });
        let report = survived(&format!("{greeting:?}"), address.await, Some(start_tls)).await;
        assert!(report.failure.is_some() && !report.failure_message.contains('\u{202e}'), "{report:?}");
    }
}
