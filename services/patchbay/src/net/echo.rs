//! The HTTPS server behind the page.

use super::{
    EchoArgs,
    page::{Facts, Form, Language, body},
};
use anyhow::Context as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use patchbay_chassis::{Clock, cli, error::chain, listen::reachable};
use patchbay_tls::{Acceptor, Authority, Certificate, Place, Tls};
use rustls::HandshakeKind;
use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// What is spoken over TLS, most wanted first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Open connections; more wait in the system's backlog.
const CONNECTIONS: usize = 512;

/// Longest life of a connection.
const LIFE: Duration = Duration::from_mins(1);

/// Time for a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// How often the certificate is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Pause after a failed accept: the system is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn serve(args: EchoArgs) -> anyhow::Result<()> {
    let tls = Tls {
        development: args.certificate.is_none(),
        certificate_file: args.certificate,
        key_file: args.key,
        names: args.host_name,
        ..Tls::default()
    };
    let place = Place { data: Some(&args.data), owner: "echo" };
    let certificate =
        Certificate::open(&tls, place, Clock::system())?.context("a certificate without a key is none")?;
    let acceptor = Acceptor::new(Arc::clone(&certificate), PROTOCOLS, tls.minimum_version)?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("could not listen on {}", args.listen))?;
    let authority = tls.development.then(|| Authority::certificate_file(&args.data.join("tls")));
    cli::print(&greeting(listener.local_addr()?, authority.as_deref()))?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Cancel-safe: nothing is used afterwards.
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = keep_fresh(&certificate) => {}
        () = accept(&listener, &acceptor) => {}
    }
    Ok(())
}

fn greeting(address: SocketAddr, authority: Option<&Path>) -> String {
    let here = reachable(address);
    let page = format!("An HTTPS page about the connection it comes by: https://{here}/ (TLS 1.2 and 1.3)");
    match authority.map(Path::display) {
        Some(authority) => format!(
            "{page}\nBrowsers trust it once they trust the authority in {authority}\nTry: curl --cacert {authority} https://{here}/"
        ),
        None => page,
    }
}

async fn keep_fresh(certificate: &Arc<Certificate>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let certificate = Arc::clone(certificate);
        // What cannot be used is looked at again; the page goes on with what it has.
        drop(spawn_blocking(move || certificate.look()).await);
    }
}

async fn accept(listener: &TcpListener, acceptor: &Acceptor) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let answered = timeout(LIFE, converse(acceptor, stream, peer)).await;
                    drop((answered, place));
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection; what is wrong with it is told on standard output, because that is what one looks for here.
async fn converse(acceptor: Acceptor, stream: TcpStream, peer: SocketAddr) {
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return say(&format!("{peer}: {}", chain(&error))),
    };
    let facts = facts(stream.get_ref().1, peer);
    say(&format!("{peer}: {}, {}", facts.version, facts.suite));
    let service = service_fn(move |request: Request<Incoming>| {
        let answered = answer(&facts, &request);
        async move { Ok::<_, Infallible>(answered) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(16);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        say(&format!("{peer}: {error}"));
    }
}

/// Nobody may be reading.
fn say(text: &str) {
    drop(cli::print(text));
}

fn facts(connection: &rustls::ServerConnection, peer: SocketAddr) -> Facts {
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let group = connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
    let protocol = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    Facts {
        version: version.unwrap_or_default().replace("TLSv", "TLS ").replace('_', "."),
        suite: suite.unwrap_or_default().replace("TLS13_", "TLS_"),
        group: group.map(str::to_owned),
        protocol,
        server_name: connection.server_name().map(str::to_owned),
        is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        peer,
    }
}

fn answer(facts: &Facts, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let is_page = request.uri().path() == "/";
    let (status, form, text) = match *request.method() {
        Method::GET | Method::HEAD if is_page => {
            let (form, language) = (wanted_form(request.headers()), wanted_language(request));
            (StatusCode::OK, form, body(facts, form, language))
        }
        Method::GET | Method::HEAD => (StatusCode::NOT_FOUND, Form::Text, "The page is at /\n".to_owned()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, Form::Text, "The page is for GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-language"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

fn wanted_form(headers: &HeaderMap) -> Form {
    let accept = text(headers, &header::ACCEPT);
    if accept.contains("text/html") {
        Form::Html
    } else if accept.contains("application/json") {
        Form::Json
    } else {
        Form::Text
    }
}

fn wanted_language(request: &Request<Incoming>) -> Language {
    let asked = request.uri().query().and_then(|query| query.strip_prefix("lang="));
    let first = text(request.headers(), &header::ACCEPT_LANGUAGE);
    if asked.unwrap_or(first).to_ascii_lowercase().starts_with("zh") {
        Language::Chinese
    } else {
        Language::English
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
