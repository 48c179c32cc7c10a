//! From an [`Answer`] to its text, in the order of RFC 8829, section 5.3.

use super::section::is_token;
use super::{Answer, AnswerMedia, Candidate, Direction, Extension, Payload, Sends, Transport};
use patchbay_media::Kind;
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Component of RTP, the only one, since RTCP shares it (RFC 8839, section 5.1).
const COMPONENT: u8 = 1;

impl Answer {
    /// The text of the answer, with CRLF.
    pub fn to_sdp(&self) -> String {
        let mut text = Text(String::with_capacity(4096));
        self.write_session(&mut text);
        let mut told = false;
        for media in &self.media {
            self.write_first_line(&mut text, media);
            media.write(&mut text);
            if matches!(media, AnswerMedia::Refused { .. }) {
                continue;
            }
            if self.options.reduced_rtcp && matches!(media, AnswerMedia::Media { .. }) {
                text.line("a=rtcp-rsize");
            }
            self.write_transport(&mut text);
            // One transport is described once in a bundle: in its first section.
            if !told || !self.options.bundle {
                self.write_candidates(&mut text);
                told = true;
            }
        }
        text.0
    }

    fn write_session(&self, text: &mut Text) {
        text.line("v=0");
        // RFC 8829, section 5.2.1: the number fits in 63 bits.
        text.line(format_args!("o=- {} {} IN IP4 0.0.0.0", self.session & (u64::MAX >> 1), self.version));
        text.line("s=-");
        text.line("t=0 0");
        if self.options.bundle {
            text.words("a=group:BUNDLE", self.media.iter().filter_map(AnswerMedia::taken_mid));
        }
        if self.options.mixed_extensions {
            text.line("a=extmap-allow-mixed");
        }
        if self.media.iter().any(|media| matches!(media, AnswerMedia::Media { sends: Some(_), .. })) {
            text.line("a=msid-semantic: WMS *");
        }
        text.line("a=ice-lite");
    }

    /// The first line, with the default destination that RFC 8839, section 4.2.1.2, wants: our first UDP candidate.
    fn write_first_line(&self, text: &mut Text, media: &AnswerMedia) {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9);
        let udp = self.candidates.iter().find(|candidate| candidate.transport == Transport::Udp);
        let destination = udp.map_or(nowhere, |candidate| candidate.address);
        let port = destination.port();
        match media {
            AnswerMedia::Refused { first_line, .. } => {
                text.line(refused(first_line));
                return text.line("c=IN IP4 0.0.0.0");
            }
            AnswerMedia::Media { kind, payloads, .. } => {
                let kind = match kind {
                    Kind::Video => "video",
                    Kind::Audio => "audio",
                };
                let start = format!("m={kind} {port} UDP/TLS/RTP/SAVPF");
                text.words(&start, payloads.iter().flat_map(numbers));
            }
            AnswerMedia::DataChannels { .. } => {
                text.line(format_args!("m=application {port} UDP/DTLS/SCTP webrtc-datachannel"));
            }
        }
        let version = if destination.is_ipv4() { 4 } else { 6 };
        text.line(format_args!("c=IN IP{version} {}", destination.ip()));
    }

    fn write_transport(&self, text: &mut Text) {
        text.line(format_args!("a=ice-ufrag:{}", self.ice.ufrag));
        text.line(format_args!("a=ice-pwd:{}", self.ice.password));
        let digits: Vec<String> = self.fingerprint.0.iter().map(|byte| format!("{byte:02X}")).collect();
        text.line(format_args!("a=fingerprint:sha-256 {}", digits.join(":")));
        text.line("a=setup:passive");
    }

    fn write_candidates(&self, text: &mut Text) {
        for (index, candidate) in self.candidates.iter().enumerate() {
            let same = |other: &Candidate| {
                other.transport == candidate.transport && other.address.ip() == candidate.address.ip()
            };
            let foundation = self.candidates.iter().position(same).unwrap_or(index) + 1;
            text.line(candidate.line(foundation, index));
        }
        text.line("a=end-of-candidates");
    }
}

impl AnswerMedia {
    /// `mid` of a section that is taken.
    fn taken_mid(&self) -> Option<&str> {
        match self {
            Self::Refused { .. } => None,
            Self::Media { mid, .. } | Self::DataChannels { mid, .. } => Some(mid),
        }
    }

    fn write(&self, text: &mut Text) {
        match self {
            Self::Refused { mid, .. } => {
                text.mid(mid);
                text.line("a=inactive");
            }
            Self::Media { mid, direction, payloads, extensions, sends, simulcast, .. } => {
                text.mid(mid);
                write_extensions(text, extensions);
                text.line(direction.attribute());
                if let Some(sends) = sends {
                    text.line(format_args!("a=msid:{} {}", token(&sends.stream), token(&sends.track)));
                }
                text.line("a=rtcp-mux");
                for payload in payloads {
                    write_payload(text, payload);
                }
                write_simulcast(text, simulcast);
                if let Some(sends) = sends {
                    write_ssrcs(text, sends);
                }
            }
            Self::DataChannels { mid, sctp_port, max_message_size } => {
                text.mid(mid);
                text.line(format_args!("a=sctp-port:{sctp_port}"));
                text.line(format_args!("a=max-message-size:{max_message_size}"));
            }
        }
    }
}

impl Direction {
    fn attribute(self) -> &'static str {
        match self {
            Self::SendReceive => "a=sendrecv",
            Self::SendOnly => "a=sendonly",
            Self::ReceiveOnly => "a=recvonly",
            Self::Inactive => "a=inactive",
        }
    }
}

impl Candidate {
    /// The attribute's line; `place` is the candidate's among all, the first being preferred.
    fn line(&self, foundation: usize, place: usize) -> String {
        let place = u32::try_from(place).unwrap_or(u32::MAX).min(8191);
        // Type preference 126 for hosts (RFC 8445, section 5.1.2.1). TCP that the peer opens has direction preference 4 (RFC 6544, section 4.2) and so
        // comes after all UDP.
        let (name, local, ending) = match self.transport {
            Transport::Udp => ("udp", 65_535 - place, ""),
            Transport::Tcp => ("tcp", (4 << 13) + 8191 - place, " tcptype passive"),
        };
        let priority = (126_u32 << 24) + (local << 8) + 256 - u32::from(COMPONENT);
        let (ip, port) = (self.address.ip(), self.address.port());
        format!("a=candidate:{foundation} {COMPONENT} {name} {priority} {ip} {port} typ host{ending}")
    }
}

/// Text that grows by lines.
struct Text(String);

impl Text {
    fn line(&mut self, line: impl Display) {
        write!(self.0, "{line}\r\n").expect("a string takes everything");
    }

    /// A line of words after its beginning.
    fn words(&mut self, start: &str, words: impl Iterator<Item = impl Display>) {
        self.0.push_str(start);
        for word in words {
            write!(self.0, " {word}").expect("a string takes everything");
        }
        self.line("");
    }

    fn mid(&mut self, mid: &str) {
        if !mid.is_empty() {
            self.line(format_args!("a=mid:{mid}"));
        }
    }
}

/// The offer's first line with port 0 (RFC 3264, section 6).
fn refused(first_line: &str) -> String {
    let mut words = first_line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(kind), Some(_port), Some(rest)) => format!("{kind} 0 {rest}"),
        // No offer that was parsed has such a line.
        _ => "m=video 0 UDP/TLS/RTP/SAVPF 0".to_owned(),
    }
}

fn numbers(payload: &Payload) -> impl Iterator<Item = u8> {
    std::iter::once(payload.number).chain(payload.rtx)
}

fn write_extensions(text: &mut Text, extensions: &[Extension]) {
    for Extension { id, uri } in extensions {
        text.line(format_args!("a=extmap:{id} {uri}"));
    }
}

fn write_payload(text: &mut Text, payload: &Payload) {
    let Payload { number, name, clock_rate, channels, format, feedback, rtx, .. } = payload;
    let channels = if *channels > 1 { format!("/{channels}") } else { String::new() };
    text.line(format_args!("a=rtpmap:{number} {name}/{clock_rate}{channels}"));
    for feedback in feedback {
        text.line(format_args!("a=rtcp-fb:{number} {feedback}"));
    }
    if !format.is_empty() {
        text.line(format_args!("a=fmtp:{number} {format}"));
    }
    if let Some(rtx) = rtx {
        text.line(format_args!("a=rtpmap:{rtx} rtx/{clock_rate}"));
        text.line(format_args!("a=fmtp:{rtx} apt={number}"));
    }
}

fn write_simulcast(text: &mut Text, layers: &[String]) {
    if layers.is_empty() {
        return;
    }
    for layer in layers {
        text.line(format_args!("a=rid:{layer} recv"));
    }
    text.line(format_args!("a=simulcast:recv {}", layers.join(";")));
}

/// The stream is the canonical name too, so that receivers keep its tracks in step (RFC 8834, section 4.9).
fn write_ssrcs(text: &mut Text, sends: &Sends) {
    if let Some(rtx) = sends.rtx_ssrc {
        text.line(format_args!("a=ssrc-group:FID {} {rtx}", sends.ssrc));
    }
    for ssrc in std::iter::once(sends.ssrc).chain(sends.rtx_ssrc) {
        text.line(format_args!("a=ssrc:{ssrc} cname:{}", token(&sends.stream)));
    }
}

/// A name of ours as a token: what may not stand in one is written as `%` and two digits a byte, so that different names stay different.
/// At most 64 characters (RFC 8830, section 2): the last ones, which tell the tracks of a stream apart.
fn token(name: &str) -> String {
    let mut token = String::new();
    for byte in name.bytes() {
        if is_token(byte) && byte != b'%' {
            token.push(char::from(byte));
        } else {
            write!(token, "%{byte:02X}").expect("a string takes everything");
        }
    }
    let start = token.len().saturating_sub(64);
    match token.get(start..) {
        Some(end) if !end.is_empty() => end.to_owned(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
pub(crate) mod tests;
