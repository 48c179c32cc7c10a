//! What a probe tells, in the words of `patchbay.crypto.v1.Tls`: plain data that the rpc, the command line and the certificate monitor write out.
//!
//! Nothing here is decided: `enumerate` and `handshake` fill in what a server does, `chain` judges its certificates, `grade` judges the whole.

use std::{fmt, net::SocketAddr, time::Duration};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// All that was found out about one server.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Host that was asked for.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Address that was reached, or tried last; none where the name has no address.
    pub address: Option<SocketAddr>,
    /// How the connection became TLS.
    pub start_tls: StartTls,
    /// Name that was asked for and that the certificate was checked against.
    pub server_name: String,
    /// Why there is nothing more; none when all went well.
    pub failure: Option<Failure>,
    /// The failure in words, with what can be done; empty without one.
    pub failure_message: String,
    /// All versions that were asked for, oldest first.
    pub protocols: Vec<ProtocolSupport>,
    /// Groups for key exchange by their IANA names, most wanted first where the server has an order.
    pub groups: Vec<&'static str>,
    /// Bits of the smallest prime that a suite with a finite-field key exchange came with.
    pub dh_bits: Option<u32>,
    /// Application protocols that it takes, of those that were offered.
    pub alpn: Vec<String>,
    /// What it chose when it was offered everything a current client offers.
    pub negotiated: Option<Negotiated>,
    /// Its certificates.
    pub chain: Option<Chain>,
    /// Whether it tells browsers to come back by TLS only (RFC 6797).
    pub strict_transport: StrictTransport,
    /// The grade; none where there was nothing to grade.
    pub grade: Option<Grade>,
    /// Why it is not better, worst first.
    pub findings: Vec<Finding>,
    /// How long it took.
    #[serde(rename = "took_milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
    /// Connections that were made.
    pub connections: u32,
    /// What could not be found out in time; empty when all was.
    pub incomplete: Vec<String>,
}

/// Whether a server speaks a version, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtocolSupport {
    /// The version.
    pub version: Version,
    /// Whether it is spoken.
    pub is_supported: bool,
    /// Suites in the server's order where it has one.
    pub suites: Vec<Suite>,
    /// Whether the server chooses by its own order.
    pub has_server_order: bool,
}

/// A suite that a server takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suite {
    /// IANA name.
    pub name: &'static str,
    /// IANA number.
    pub number: u16,
    /// How much it matters that it is taken.
    pub severity: Severity,
}

/// What a current client gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Negotiated {
    /// Version.
    pub version: Version,
    /// IANA name of the suite.
    pub suite: String,
    /// IANA name of the group; empty for RSA key exchange.
    pub group: String,
    /// Application protocol; empty where none was agreed upon.
    pub alpn: String,
}

/// One reason of a grade, or one problem of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Stable word, such as `TLS10_SUPPORTED`.
    pub code: &'static str,
    /// In words, with what can be done.
    pub message: String,
    /// Best grade that is left with it; none where it does not touch the grade.
    pub caps_at: Option<Grade>,
}

impl Finding {
    /// A finding that leaves the grade alone.
    pub(crate) fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), caps_at: None }
    }

    /// The same, with the best grade that is left with it.
    pub(crate) fn capped(mut self, grade: Grade) -> Self {
        self.caps_at = Some(grade);
        self
    }
}

/// The certificates of a server, and what is to be said of them.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    /// As they were sent, the server's own first.
    pub certificates: Vec<Certificate>,
    /// Whether each is followed by its issuer.
    pub is_in_order: bool,
    /// Whether it leads to a root that is trusted, for this name, today.
    pub is_trusted: bool,
    /// Name of that root; empty where there is none.
    pub root: String,
    /// What is wrong, worst first.
    pub problems: Vec<Finding>,
    /// The OCSP staple.
    pub ocsp: OcspStaple,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Subject, as RFC 4514.
    pub subject: String,
    /// Issuer, as RFC 4514.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// DNS names, addresses, e-mail addresses and URIs that it is for.
    pub alternative_names: Vec<String>,
    /// From when it is valid.
    #[serde(serialize_with = "text")]
    pub not_before: Timestamp,
    /// Until when.
    #[serde(serialize_with = "text")]
    pub not_after: Timestamp,
    /// Whole days until then, rounded down; negative when it is over.
    pub days_left: i32,
    /// Such as `RSA`, `EC P-256` or `Ed25519`.
    pub key_type: String,
    /// Bits of the key.
    pub key_bits: u32,
    /// Such as `SHA256-RSA` or `ECDSA-SHA384`.
    pub signature_algorithm: String,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
    /// SHA-256 of its public key (SPKI), hexadecimal.
    pub public_key_sha256: String,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// Whether it signed itself.
    pub is_self_signed: bool,
    /// Where its status can be asked for.
    pub ocsp_urls: Vec<String>,
    /// Signed certificate timestamps that it carries.
    pub sct_count: u32,
    /// Whether a server must staple (RFC 7633).
    pub must_staple: bool,
    /// As PEM.
    pub pem: String,
}

/// What a server showed of its certificate's status (RFC 6960, RFC 6066 section 8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OcspStaple {
    /// Whether there was one.
    pub is_stapled: bool,
    /// What it says; none without one.
    pub status: Option<OcspStatus>,
    /// When that was so.
    #[serde(serialize_with = "optional_text")]
    pub this_update: Option<Timestamp>,
    /// Until when it is said.
    #[serde(serialize_with = "optional_text")]
    pub next_update: Option<Timestamp>,
    /// Whether the signature of the issuer, or of one that the issuer named for it, was checked and is right.
    pub is_verified: bool,
}

/// What a staple says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OcspStatus {
    /// It is not revoked.
    Good,
    /// It is revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
    /// The staple is not an answer that can be read, or is for another certificate.
    Unreadable,
}

impl fmt::Display for OcspStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
        })
    }
}

/// Whether a server tells browsers to come back by TLS only (RFC 6797).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StrictTransport {
    /// It was not asked, or what answers there is not HTTP.
    #[default]
    NotAsked,
    /// It does not.
    Absent,
    /// It does, for so many seconds.
    Present {
        /// The header's `max-age`.
        max_age_seconds: u64,
    },
}

/// Why there is nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The name has no address.
    NameNotFound,
    /// Nobody listens there.
    ConnectionRefused,
    /// There is no way there.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// It closed the connection without a word.
    ConnectionClosed,
    /// What it said is not TLS.
    NotTls,
    /// It does not offer, or refuses, to change to TLS.
    StartTlsRefused,
    /// It speaks TLS, and refused every version and suite that was offered.
    HandshakeRefused,
}

/// How a connection becomes TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// It is TLS from the start.
    #[default]
    None,
    /// FTP: AUTH TLS (RFC 4217).
    Ftp,
    /// SMTP: STARTTLS (RFC 3207).
    Smtp,
    /// IMAP: STARTTLS (RFC 9051).
    Imap,
}

/// A version of the protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SSL 3.0 (RFC 6101).
    Ssl30,
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// All that are asked for, oldest first.
    pub const ALL: [Self; 5] = [Self::Ssl30, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Ssl30 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much a thing matters, least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    #[default]
    Good,
    /// Worth knowing.
    Note,
    /// Worth mending.
    Warning,
    /// Dangerous.
    Critical,
}

/// A grade, best first. `T` and `M` come last: they say that the rest is of no use, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// `A+`.
    APlus,
    /// `A`.
    A,
    /// `B`.
    B,
    /// `C`.
    C,
    /// `D`.
    D,
    /// `E`.
    E,
    /// `F`.
    F,
    /// The certificate is for another name.
    M,
    /// The certificate is not trusted.
    T,
}

impl fmt::Display for Grade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::APlus => "A+",
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::M => "M",
            Self::T => "T",
        })
    }
}

impl Serialize for Grade {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn optional_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
