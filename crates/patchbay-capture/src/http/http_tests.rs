use super::{server::*, *};
use futures_util::FutureExt;
use patchbay_egress::{EgressConfig, Guard};
use patchbay_media::hub::{Reason, SourceError};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;

fn limits() -> CaptureLimits {
    let short = Duration::from_millis(500);
    CaptureLimits { connect_timeout: short, stall_timeout: short, ..CaptureLimits::default() }
}

fn target(url: Url) -> HttpTarget {
    let guard = Guard::open();
    HttpTarget { url, credentials: None, trust: Trust::default(), limits: limits(), guard }
}

fn login() -> Credentials {
    Credentials { username: "admin".to_owned(), password: "s3cret".into() }
}

async fn fetch(target: HttpTarget) -> Result<Vec<u8>, SourceError> {
    let url = target.url.clone();
    let client = HttpClient::new(target)?;
    let answer = client.get(&url, 0).await?;
    Ok(answer.body.whole(1 << 20).await?.expect("not too long").to_vec())
}

/// Fetches, must fail, and says what it took.
async fn fails(what: &str, target: HttpTarget) -> SourceError {
    let started = Instant::now();
    let error = fetch(target).await.unwrap_err();
    println!("{what}: {} in {:?}: {error}", error.reason().word(), started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(3), "{what}");
    assert!(!error.to_string().contains("s3cret"));
    error
}

#[tokio::test]
async fn a_body_comes_whole_and_in_parts() {
    let server = Server::files(vec![("/a", b"0123456789".to_vec())]).await;
    assert_eq!(fetch(target(server.url("/a"))).await.unwrap(), b"0123456789");
    let client = HttpClient::new(target(server.url("/a"))).unwrap();
    let answer = client.get(&server.url("/a"), 4).await.unwrap();
    assert_eq!((answer.length, answer.has_ranges), (Some(10), true));
    assert_eq!(&answer.body.whole(100).await.unwrap().unwrap()[..], b"456789");
    let answer = client.get(&server.url("/a"), 0).await.unwrap();
    assert!(answer.body.whole(5).await.unwrap().is_none(), "longer than wanted");
}

#[test]
fn what_prints_a_target_prints_no_token() {
    let url = Url::parse("http://camera/video?user=admin&pwd=s3cret").unwrap();
    let printed = format!("{:?}", HttpTarget { credentials: Some(login()), ..target(url) });
    assert!(printed.contains("http://camera/video") && !printed.contains("s3cret"), "{printed}");
}

/// A login that was refused is not tried again and again: cameras lock out who does that.
#[tokio::test]
async fn refused_logins_wait_for_somebody_to_change_them() {
    let asking = asking("WWW-Authenticate: Basic realm=\"c\"\r\n", |_| false).await;
    for credentials in [None, Some(login())] {
        let error = fails("a refused login", HttpTarget { credentials, ..target(asking.url("/")) }).await;
        assert_eq!((error.reason(), error.again()), (Reason::Unauthorized, patchbay_media::hub::Again::No));
    }
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = |text: &str| Url::parse(text).unwrap();
    let error = fails("refused", target(url(&format!("http://{free}/")))).await;
    assert_eq!(error.reason(), Reason::Refused);
    let error = fails("name not found", target(url("http://no-such-name.invalid/"))).await;
    assert!(matches!(error.reason(), Reason::NameNotFound | Reason::TimedOut), "{error:?}");
    let guard = Guard::new(&EgressConfig::default(), "camera.egress");
    let error = fails("forbidden", HttpTarget { guard, ..target(url("http://127.0.0.1:1/")) }).await;
    assert_eq!(error.reason(), Reason::Forbidden);
    for odd in ["ftp://example.com/", "file:///etc/passwd", "http://a:s3cret@example.com/"] {
        let error = fails(odd, target(url(odd))).await;
        assert_eq!((error.reason(), error.again()), (Reason::Protocol, patchbay_media::hub::Again::No));
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = fails("silent", target(url(&format!("http://{}/", silent.local_addr().unwrap())))).await;
    assert_eq!(error.reason(), Reason::TimedOut);
    let error = fails("no TLS", target(url(&format!("https://{}/", silent.local_addr().unwrap())))).await;
    assert_eq!(error.reason(), Reason::Tls);
}

#[tokio::test]
async fn statuses_say_what_to_do() {
    for (line, reason) in [
        ("401 Unauthorized", Reason::Unauthorized),
        ("403 Forbidden", Reason::Unauthorized),
        ("404 Not Found", Reason::NotFound),
        ("500 Oh", Reason::Protocol),
        ("204 No Content", Reason::Protocol),
        ("206 Partial Content", Reason::Protocol),
    ] {
        let server = Server::always(status(line)).await;
        assert_eq!(fails(line, target(server.url("/"))).await.reason(), reason);
    }
}

/// Asks for a login and looks at what comes.
async fn asking(challenge: &'static str, accepted: fn(&str) -> bool) -> Server {
    Server::start(Arc::new(move |asked, stream| {
        let answer = match asked.header("authorization") {
            Some(given) if accepted(given) => ok("text/plain", b"in"),
            _ => format!("HTTP/1.1 401 No\r\n{challenge}Content-Length: 0\r\n\r\n").into_bytes(),
        };
        send(stream, answer).boxed()
    }))
    .await
}

#[tokio::test]
async fn logins_are_done_as_the_host_asks() {
    let basic =
        asking("WWW-Authenticate: Basic realm=\"cam\"\r\n", |given| given == "Basic YWRtaW46czNjcmV0").await;
    let with = |server: &Server, credentials| HttpTarget { credentials, ..target(server.url("/a?b=1")) };
    assert_eq!(fetch(with(&basic, Some(login()))).await.unwrap(), b"in");
    let client = HttpClient::new(with(&basic, Some(login()))).unwrap();
    for _ in 0..3 {
        client.get(&basic.url("/a"), 0).await.unwrap();
    }
    assert_eq!(basic.asked().len(), 2 + 4, "the login is kept");
    let digest = asking("WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\", qop=\"auth\"\r\n", |given| {
        given.starts_with("Digest")
            && given.contains("uri=\"/a?b=1\"")
            && given.contains("username=\"admin\"")
    })
    .await;
    assert_eq!(fetch(with(&digest, Some(login()))).await.unwrap(), b"in");
    let error = fails("no login", with(&basic, None)).await;
    assert_eq!(error.reason(), Reason::Unauthorized);
    assert!(error.to_string().contains("put in"));
    let wrong = Credentials { password: "other".into(), ..login() };
    let error = fails("wrong login", with(&basic, Some(wrong))).await;
    assert!(error.to_string().contains("does not accept"));
    let odd = asking("WWW-Authenticate: NTLM\r\n", |_| false).await;
    let error = fails("odd login", with(&odd, Some(login()))).await;
    assert!(error.to_string().contains("NTLM"));
}

#[tokio::test]
async fn redirects_are_followed_checked_and_told_no_login() {
    let other = Server::files(vec![("/there", b"there".to_vec())]).await;
    let to = format!("HTTP/1.1 302 Found\r\nLocation: http://x:y@{}/there\r\n\r\n", other.address);
    let first = Server::always(to).await;
    let asked = HttpTarget { credentials: Some(login()), ..target(first.url("/")) };
    assert_eq!(fetch(asked).await.unwrap(), b"there");
    assert!(other.asked().iter().all(|asked| asked.header("authorization").is_none()));

    let wanting = asking("WWW-Authenticate: Basic realm=\"trap\"\r\n", |_| true).await;
    let to = format!("HTTP/1.1 302 Found\r\nLocation: http://{}/\r\n\r\n", wanting.address);
    let first = Server::always(to).await;
    let asked = HttpTarget { credentials: Some(login()), ..target(first.url("/")) };
    let error = fails("a login elsewhere", asked).await;
    assert_eq!((error.reason(), wanting.asked().len()), (Reason::Unauthorized, 1));
    assert!(wanting.asked()[0].header("authorization").is_none());

    let circle = Server::always("HTTP/1.1 301 Moved\r\nLocation: /again\r\n\r\n").await;
    let error = fails("a circle", target(circle.url("/"))).await;
    assert_eq!((error.reason(), circle.asked().len()), (Reason::Protocol, 6));
    let nowhere = Server::always("HTTP/1.1 301 Moved\r\n\r\n").await;
    assert_eq!(fails("nowhere", target(nowhere.url("/"))).await.reason(), Reason::Protocol);
    let file = Server::always("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n").await;
    assert_eq!(fails("to a file", target(file.url("/"))).await.reason(), Reason::Protocol);

    // The first hop is allowed by its own address, the second is another one of the same machine.
    let inner = Server::files(vec![("/secret", b"secret".to_vec())]).await;
    let port = inner.address.port();
    let outer =
        Server::always(format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{port}/secret\r\n\r\n"))
            .await;
    let allow = vec!["127.0.0.1/32".parse().unwrap()];
    let guard = Guard::new(&EgressConfig { allow, ..EgressConfig::default() }, "camera.egress");
    let error = fails("redirect to loopback", HttpTarget { guard, ..target(outer.url("/")) }).await;
    assert_eq!((error.reason(), inner.asked().len()), (Reason::Forbidden, 0));
}

#[tokio::test]
async fn endless_heads_stalls_and_noise_end_in_time() {
    let endless = Server::start(Arc::new(|_, mut stream| {
        async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while sent.is_ok() {
                sent = stream
                    .write_all(b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                    .await;
            }
        }
        .boxed()
    }))
    .await;
    assert_eq!(fails("endless head", target(endless.url("/"))).await.reason(), Reason::Protocol);
    let long = Server::start(Arc::new(|_, mut stream| {
        async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'a'; 4096]).await;
            }
        }
        .boxed()
    }))
    .await;
    assert_eq!(fails("endless line", target(long.url("/"))).await.reason(), Reason::Protocol);
    let stalls = Server::start(Arc::new(|_, mut stream| {
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
            std::future::pending::<()>().await;
        }
        .boxed()
    }))
    .await;
    assert_eq!(fails("stalls", target(stalls.url("/"))).await.reason(), Reason::TimedOut);
    let drips = Server::start(Arc::new(|_, mut stream| {
        async move {
            for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        .boxed()
    }))
    .await;
    assert_eq!(fails("a slow drip", target(drips.url("/"))).await.reason(), Reason::TimedOut);
    let cut = Server::always("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await;
    assert_eq!(fails("cut off", target(cut.url("/"))).await.reason(), Reason::Protocol);
    let noise = Server::always("SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert_eq!(fails("not HTTP", target(noise.url("/"))).await.reason(), Reason::Protocol);
}

#[tokio::test]
async fn a_flood_is_held_back() {
    let floods = Server::start(Arc::new(|_, mut stream| {
        async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[0; 16_000]).await;
            }
        }
        .boxed()
    }))
    .await;
    let limits = CaptureLimits { bytes_per_second: 1 << 20, ..limits() };
    let client = HttpClient::new(HttpTarget { limits, ..target(floods.url("/")) }).unwrap();
    let mut answer = client.get(&floods.url("/"), 0).await.unwrap();
    let (started, mut bytes) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(1) {
        bytes += answer.body.next().await.unwrap().unwrap().len();
    }
    println!("{bytes} bytes in {:?}, with 1 MiB/s allowed", started.elapsed());
    assert!(bytes < (4 << 20), "{bytes}");
}

#[tokio::test]
async fn what_is_posted_arrives_whole_and_with_a_login_that_nobody_reads() {
    let posted = |server: &Server, credentials| {
        let target = HttpTarget { credentials, ..target(server.url("/service")) };
        async move {
            let client = HttpClient::new(target).unwrap();
            let reply = client.post("application/soap+xml", "<question/>".into()).await?;
            Ok::<_, HttpError>((reply.status.as_u16(), reply.body.whole(100).await?))
        }
    };
    let challenge = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\", qop=\"auth\"\r\n";
    let digest = asking(challenge, |given| given.starts_with("Digest")).await;
    let (accepted, body) = posted(&digest, Some(login())).await.unwrap();
    assert_eq!((accepted, body.as_deref()), (200, Some(&b"in"[..])));
    for asked in digest.asked() {
        assert!(asked.head.starts_with("POST /service ") && asked.header("content-length") == Some("11"));
        assert_eq!(asked.header("content-type"), Some("application/soap+xml"));
    }
    let basic = asking("WWW-Authenticate: Basic realm=\"cam\"\r\n", |_| true).await;
    let target = HttpTarget { credentials: Some(login()), ..target(basic.url("/")) };
    let client = HttpClient::new(target).unwrap();
    for _ in 0..2 {
        let refused = client.post("application/soap+xml", "<question/>".into()).await;
        assert!(matches!(refused, Err(HttpError::LoginInClear(_))));
    }
    assert!(basic.asked().iter().all(|asked| asked.header("authorization").is_none()));
    assert!(matches!(posted(&basic, None).await, Err(HttpError::LoginNeeded(_))));
    // What is wrong stands in the body, and the caller reads that.
    for line in ["401 Unauthorized", "400 Bad Request", "500 Oh"] {
        let (told, _) = posted(&Server::always(status(line)).await, Some(login())).await.unwrap();
        assert!(line.starts_with(&told.to_string()), "{told}");
    }
    let elsewhere = Server::always("HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\n\r\n").await;
    assert!(matches!(posted(&elsewhere, None).await, Err(HttpError::Redirected { status: 307, .. })));
}
