//! An RTSP server that does what a test tells it to: answers as a script says, and sends packets, bytes and pauses in the order in which the script gives them.
//!
//! It is a peer for tests and no server: it blocks on threads of its own, one for each connection, and reads requests without much care.

use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What comes next in the media.
#[derive(Clone, Debug)]
pub enum Step {
    /// A packet of the first stream, in the connection or as a datagram.
    Packet(Vec<u8>),
    /// A report (RTCP) of the first stream.
    Report(Vec<u8>),
    /// Bytes as they are, in the connection.
    Bytes(Vec<u8>),
    /// A pause, counted from the start, so that pictures keep their pace.
    Until(Duration),
    /// Nothing more, with the connection open.
    Hang,
    /// The connection is closed.
    Close,
}

/// Gives the steps of each picture, by its number.
pub type Film = Arc<dyn Fn(u64) -> Vec<Step> + Send + Sync>;

/// What is sent after `PLAY`.
#[derive(Clone)]
pub enum Media {
    /// Nothing.
    None,
    /// Steps, picture by picture.
    Film(Film),
    /// What the program ffmpeg sends to the client's UDP port, with these arguments before the output.
    Ffmpeg(Vec<String>),
}

/// An answer to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// As it should be.
    Usual,
    /// These bytes instead; `{cseq}` becomes the request's number.
    Raw(Vec<u8>),
    /// None, with the connection open.
    Silence,
    /// The connection is closed.
    Close,
    /// These bytes again and again until the client closes the connection.
    Endless(Vec<u8>),
}

/// What happens to a request: method, number of its kind in the connection, and the request.
pub type Answers = Arc<dyn Fn(&str, usize, &Request) -> Answer + Send + Sync>;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Address.
    pub uri: String,
    /// Headers, their names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// A header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a server does.
#[derive(Clone)]
pub struct Script {
    /// Answer to `DESCRIBE`.
    pub sdp: String,
    /// Answers that are not the usual ones.
    pub answers: Answers,
    /// Media.
    pub media: Media,
    /// Added to the transport in the answer to `SETUP` over UDP, in place of `server_port`.
    pub transport: Option<String>,
}

impl Script {
    /// Does everything right.
    pub fn new(sdp: impl Into<String>, media: Media) -> Self {
        Self { sdp: sdp.into(), answers: Arc::new(|_, _, _| Answer::Usual), media, transport: None }
    }

    /// Answers some requests in another way.
    #[must_use]
    pub fn answering(
        mut self,
        answers: impl Fn(&str, usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.answers = Arc::new(answers);
        self
    }

    /// Answers one method in another way.
    #[must_use]
    pub fn with(self, method: &'static str, answer: Answer) -> Self {
        self.answering(move |asked, _, _| if asked == method { answer.clone() } else { Answer::Usual })
    }
}

/// A status line and nothing else.
pub fn status(code: u16, reason: &str) -> Answer {
    Answer::Raw(format!("RTSP/1.0 {code} {reason}\r\nCSeq: {{cseq}}\r\n\r\n").into_bytes())
}

/// A server that runs. Dropped, it closes everything.
pub struct ScriptedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl ScriptedServer {
    /// Starts on a free port of loopback.
    pub fn start(script: Script) -> Result<Self> {
        Self::start_on(script, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts on this address.
    pub fn start_on(script: Script, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            requests: Mutex::default(),
            connections: AtomicU64::new(0),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("rtsp-accept".to_owned()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }

    /// Whether there was a request of that method.
    pub fn was_asked(&self, method: &str) -> bool {
        self.shared.requests.lock().iter().any(|request| request.method == method)
    }

    /// Does something else in connections that come from now on.
    pub fn become_another(&self, script: Script) {
        *self.shared.script.lock() = script;
    }

    /// Closes every connection.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            self.connections.fetch_add(1, Ordering::Relaxed);
            self.open.lock().extend(stream.try_clone());
            let (shared, script) = (Arc::clone(self), self.script.lock().clone());
            // What fails here is seen by the client.
            drop(thread::spawn(move || Connection::new(shared, script, stream)?.serve()));
        }
    }
}

struct Connection {
    shared: Arc<Shared>,
    script: Script,
    write: Arc<Mutex<TcpStream>>,
    read: BufReader<TcpStream>,
    counts: Vec<(String, usize)>,
    udp: Option<Udp>,
    streams: u8,
    playing: Arc<AtomicBool>,
    ffmpeg: Option<Child>,
}

#[derive(Clone)]
struct Udp {
    media: Arc<UdpSocket>,
    client: SocketAddr,
}

impl Connection {
    fn new(shared: Arc<Shared>, script: Script, stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let read = BufReader::new(stream.try_clone()?);
        Ok(Self {
            shared,
            script,
            write: Arc::new(Mutex::new(stream)),
            read,
            counts: Vec::new(),
            udp: None,
            streams: 0,
            playing: Arc::new(AtomicBool::new(true)),
            ffmpeg: None,
        })
    }

    fn serve(mut self) -> Result<()> {
        while let Some(request) = self.request()? {
            self.shared.requests.lock().push(request.clone());
            let number = self.count(&request.method);
            let answers = Arc::clone(&self.script.answers);
            match answers(&request.method, number, &request) {
                Answer::Usual => self.usual(&request)?,
                Answer::Raw(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let is_text = text.as_bytes() == bytes;
                    let bytes =
                        if is_text { text.replace("{cseq}", cseq(&request)).into_bytes() } else { bytes };
                    self.write.lock().write_all(&bytes)?;
                }
                Answer::Silence => {}
                Answer::Close => return Ok(self.write.lock().shutdown(Shutdown::Both)?),
                Answer::Endless(bytes) => loop {
                    self.write.lock().write_all(&bytes)?;
                },
            }
        }
        Ok(())
    }

    fn count(&mut self, method: &str) -> usize {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| known == method) {
            *count += 1;
            return *count;
        }
        self.counts.push((method.to_owned(), 0));
        0
    }

    /// The next request; packets of the client are stepped over.
    fn request(&mut self) -> Result<Option<Request>> {
        loop {
            let buffered = self.read.fill_buf()?;
            let Some(first) = buffered.first().copied() else { return Ok(None) };
            if first != b'$' {
                break;
            }
            let mut head = [0; 4];
            std::io::Read::read_exact(&mut self.read, &mut head)?;
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            std::io::Read::read_exact(&mut self.read, &mut body)?;
        }
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.read.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" if lines.is_empty() => {}
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut words = lines.first().context("no request")?.split(' ');
        let (method, uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |line: &String| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.iter().skip(1).filter_map(header).collect();
        Ok(Some(Request { method: method.to_owned(), uri: uri.to_owned(), headers }))
    }

    fn usual(&mut self, request: &Request) -> Result<()> {
        match request.method.as_str() {
            "OPTIONS" => self.answer(request, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
            "DESCRIBE" => {
                let sdp = self.script.sdp.clone();
                self.answer(request, "Content-Type: application/sdp\r\n", &sdp)
            }
            "SETUP" => {
                let transport = self.set_up(request)?;
                let headers = format!("Session: 12345678;timeout=60\r\nTransport: {transport}\r\n");
                self.answer(request, &headers, "")
            }
            "PLAY" => {
                self.answer(request, "Session: 12345678\r\n", "")?;
                self.play()
            }
            _ => self.answer(request, "", ""),
        }
    }

    fn answer(&self, request: &Request, headers: &str, body: &str) -> Result<()> {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let text = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n{headers}{length}\r\n{body}", cseq(request));
        Ok(self.write.lock().write_all(text.as_bytes())?)
    }

    /// Takes the transport that the client asks for.
    fn set_up(&mut self, request: &Request) -> Result<String> {
        let asked = request.get("transport").context("no transport")?.to_owned();
        let channel = self.streams * 2;
        self.streams += 1;
        let port = asked.split(';').find_map(|part| part.strip_prefix("client_port=")?.split('-').next());
        let Some(port) = port else {
            return Ok(format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1));
        };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = socket.local_addr()?.port();
        if self.udp.is_none() {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
            self.udp = Some(Udp { media: Arc::new(socket), client });
        }
        let usual = format!("server_port={own}-{}", own.saturating_add(1));
        let server = self.script.transport.clone().unwrap_or(usual);
        Ok(format!("RTP/AVP;unicast;client_port={port};{server}"))
    }

    fn play(&mut self) -> Result<()> {
        match self.script.media.clone() {
            Media::None => {}
            Media::Film(film) => {
                let (write, udp) = (Arc::clone(&self.write), self.udp.clone());
                let playing = Arc::clone(&self.playing);
                drop(thread::spawn(move || {
                    // Ends when the client does not read any more.
                    drop(show(&film, &write, udp.as_ref(), &playing));
                }));
            }
            Media::Ffmpeg(arguments) => {
                let client = self.udp.as_ref().context("ffmpeg sends over UDP alone")?.client;
                let mut command = Command::new("ffmpeg");
                command.args(["-v", "error", "-nostdin", "-re"]).args(arguments);
                command.args(["-f", "rtp", &format!("rtp://{client}?pkt_size=1200")]);
                self.ffmpeg = Some(command.stdout(Stdio::null()).spawn()?);
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.playing.store(false, Ordering::Relaxed);
        if let Some(mut ffmpeg) = self.ffmpeg.take() {
            drop(ffmpeg.kill());
            drop(ffmpeg.wait());
        }
    }
}

fn show(film: &Film, write: &Mutex<TcpStream>, udp: Option<&Udp>, playing: &AtomicBool) -> Result<()> {
    let started = Instant::now();
    for number in 0.. {
        for step in film(number) {
            if !playing.load(Ordering::Relaxed) {
                return Ok(());
            }
            match step {
                Step::Packet(data) => send(0, &data, write, udp)?,
                Step::Report(data) if udp.is_none() => send(1, &data, write, None)?,
                Step::Report(_) => {}
                Step::Bytes(data) => write.lock().write_all(&data)?,
                Step::Until(time) => thread::sleep(time.saturating_sub(started.elapsed())),
                Step::Hang => return Ok(()),
                Step::Close => return Ok(write.lock().shutdown(Shutdown::Both)?),
            }
        }
    }
    Ok(())
}

fn send(channel: u8, data: &[u8], write: &Mutex<TcpStream>, udp: Option<&Udp>) -> Result<()> {
    if let Some(udp) = udp {
        udp.media.send_to(data, udp.client)?;
        return Ok(());
    }
    let [high, low] = u16::try_from(data.len())?.to_be_bytes();
    let mut frame = vec![b'$', channel, high, low];
    frame.extend_from_slice(data);
    Ok(write.lock().write_all(&frame)?)
}

fn cseq(request: &Request) -> &str {
    request.get("cseq").unwrap_or("0")
}
