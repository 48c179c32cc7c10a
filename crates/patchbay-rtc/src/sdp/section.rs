//! One media section of an offer.

use super::lines::Line;
use super::parse::ATTRIBUTE_LIMIT;
use super::transport::Transport;
use super::{Direction, Extension, Media, OfferError, Payload, Purpose};
use patchbay_media::{Codec, Kind};

/// Characters of a `mid`; RFC 9143, section 15, advises 16 bytes at most, since it travels in packets.
const MID_LIMIT: usize = 64;
/// Characters of a `rid`, which travels in packets too.
const RID_LIMIT: usize = 16;
/// Simulcast layers; browsers send three.
const LAYER_LIMIT: usize = 8;
/// SSRCs that a section announces; browsers announce six at most.
const SSRC_LIMIT: usize = 64;
/// Feedback (RFC 4585) that is known here; the rest is passed over.
const FEEDBACK: [&str; 5] = ["nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"];

/// A section as read, with what the description as a whole is judged by.
pub(super) struct Section {
    /// The part that is kept.
    pub(super) media: Media,
    /// How the section is reached.
    pub(super) transport: Transport,
    /// Line of the `m=`.
    pub(super) line: usize,
    /// `rtcp-rsize`.
    pub(super) reduced_rtcp: bool,
    /// `extmap-allow-mixed`.
    pub(super) mixed_extensions: bool,
}

impl Section {
    /// Reads the lines from an `m=` to the next.
    pub(super) fn read(lines: &[Line<'_>], direction: Direction) -> Result<Self, OfferError> {
        let Some((first, attributes)) = lines.split_first() else {
            return Err(OfferError::Missing { what: "media section" });
        };
        let mut reader = Reader::new(first, direction)?;
        for (count, line) in attributes.iter().enumerate() {
            if count == ATTRIBUTE_LIMIT {
                return Err(line.malformed(format!("more than {ATTRIBUTE_LIMIT} lines in a media section")));
            }
            if let Some((name, value)) = line.attribute() {
                reader.attribute(line, name, value)?;
            }
        }
        reader.finish()
    }
}

/// The direction that an attribute of this name states.
pub(super) fn direction(name: &str) -> Option<Direction> {
    match name {
        "sendrecv" => Some(Direction::SendReceive),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::ReceiveOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// A payload type whose attributes are still being gathered.
struct Draft {
    number: u8,
    map: Option<(String, u32, u8)>,
    format: Option<String>,
    feedback: Vec<&'static str>,
}

struct Reader {
    section: Section,
    port: u16,
    bundle_only: bool,
    rtcp_mux: bool,
    drafts: Vec<Draft>,
    rids: Vec<String>,
    /// Feedback that was given to all payload types already: doing it once keeps the reading linear.
    common_feedback: Vec<&'static str>,
}

impl Reader {
    fn new(line: &Line<'_>, direction: Direction) -> Result<Self, OfferError> {
        let mut words = line.value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(line.malformed("m= has a kind, a port, a protocol and formats"));
        };
        let Ok(port) = port.parse() else {
            return Err(line.malformed(format!("{} is not a port", shown(port))));
        };
        let formats: Vec<&str> = words.collect();
        let purpose = purpose(kind, protocol, &formats);
        let drafts = match purpose {
            Purpose::Media(_) => drafts(line, &formats)?,
            _ => Vec::new(),
        };
        let media = Media {
            mid: String::new(),
            purpose,
            first_line: format!("m={}", line.value),
            rejected: false,
            direction,
            payloads: Vec::new(),
            extensions: Vec::new(),
            simulcast: Vec::new(),
            ssrcs: Vec::new(),
            rtx_ssrcs: Vec::new(),
            sctp_port: None,
            max_message_size: None,
        };
        Ok(Self {
            section: Section {
                media,
                transport: Transport::default(),
                line: line.number,
                reduced_rtcp: false,
                mixed_extensions: false,
            },
            port,
            bundle_only: false,
            rtcp_mux: false,
            drafts,
            rids: Vec::new(),
            common_feedback: Vec::new(),
        })
    }

    fn attribute(&mut self, line: &Line<'_>, name: &str, value: &str) -> Result<(), OfferError> {
        match name {
            "mid" => self.mid(line, value)?,
            "bundle-only" => self.bundle_only = true,
            "rtcp-mux" => self.rtcp_mux = true,
            "rtcp-rsize" => self.section.reduced_rtcp = true,
            "extmap-allow-mixed" => self.section.mixed_extensions = true,
            "rtpmap" => self.rtpmap(line, value)?,
            "fmtp" => self.fmtp(value),
            "rtcp-fb" => self.feedback(value),
            "extmap" => self.extension(line, value)?,
            "rid" => self.rid(line, value)?,
            "simulcast" => self.simulcast(line, value)?,
            "ssrc" => self.ssrc(line, value)?,
            "ssrc-group" => self.ssrc_group(line, value)?,
            "sctp-port" => self.section.media.sctp_port = Some(sctp_port(line, value)?),
            "max-message-size" => self.section.media.max_message_size = Some(number(line, name, value)?),
            _ => {
                self.section.media.direction = direction(name).unwrap_or(self.section.media.direction);
                self.section.transport.attribute(line, name, value)?;
            }
        }
        Ok(())
    }

    fn mid(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        if !self.section.media.mid.is_empty() {
            return Err(line.malformed("the section has a mid already"));
        }
        if value.is_empty() || value.len() > MID_LIMIT || !value.bytes().all(is_token) {
            return Err(line.malformed(format!("a mid is a word of 1 to {MID_LIMIT} characters")));
        }
        value.clone_into(&mut self.section.media.mid);
        Ok(())
    }

    /// The payload type that an attribute's first word names, and the rest of the attribute.
    fn draft<'a>(&mut self, value: &'a str) -> Option<(&mut Draft, &'a str)> {
        let (word, rest) = value.split_once(' ')?;
        let number: u8 = word.parse().ok()?;
        let draft = self.drafts.iter_mut().find(|draft| draft.number == number)?;
        Some((draft, rest.trim()))
    }

    fn rtpmap(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        // Formats that the first line does not list are nobody's.
        let Some((draft, map)) = self.draft(value) else { return Ok(()) };
        let mut parts = map.split('/');
        let (Some(name), Some(rate)) = (parts.next().filter(|name| !name.is_empty()), parts.next()) else {
            return Err(line.malformed("rtpmap is a number, then name/rate or name/rate/channels"));
        };
        if !name.bytes().all(is_token) {
            return Err(line.malformed("the name of a coding has a character that is not allowed"));
        }
        let rate: u32 = number(line, "the clock rate", rate)?;
        if rate == 0 {
            return Err(line.malformed("the clock rate is 0"));
        }
        let channels =
            parts.next().map_or(Ok(1), |channels| number(line, "the number of channels", channels))?;
        draft.map.get_or_insert((name.to_owned(), rate, channels));
        Ok(())
    }

    fn fmtp(&mut self, value: &str) {
        if let Some((draft, format)) = self.draft(value) {
            draft.format.get_or_insert(format.to_owned());
        }
    }

    fn feedback(&mut self, value: &str) {
        let Some((_, kind)) = value.split_once(' ') else { return };
        let known = FEEDBACK.into_iter().find(|known| known.split(' ').eq(kind.split_ascii_whitespace()));
        let Some(known) = known else { return };
        if !value.starts_with("* ") {
            if let Some((draft, _)) = self.draft(value) {
                draft.add_feedback(known);
            }
        } else if !self.common_feedback.contains(&known) {
            self.common_feedback.push(known);
            self.drafts.iter_mut().for_each(|draft| draft.add_feedback(known));
        }
    }

    fn extension(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let mut words = value.split_ascii_whitespace();
        let (Some(place), Some(uri)) = (words.next(), words.next()) else {
            return Err(line.malformed("extmap is a number and a URI"));
        };
        let place = place.split('/').next().unwrap_or_default();
        let Ok(place) = place.parse::<u16>() else {
            return Err(line.malformed(format!("{} is not the number of a header extension", shown(place))));
        };
        // 0 is padding, 15 ends a one-byte header; above 255 stand those whose number is still to be agreed (RFC 8285, section 7).
        let Some(id) = u8::try_from(place).ok().filter(|id| !matches!(id, 0 | 15)) else { return Ok(()) };
        if self.section.media.extensions.iter().all(|known| known.id != id) {
            self.section.media.extensions.push(Extension { id, uri: uri.to_owned() });
        }
        Ok(())
    }

    fn rid(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some("send")) = (words.next(), words.next()) else { return Ok(()) };
        check_rid(line, id)?;
        if self.rids.len() == LAYER_LIMIT {
            return Err(line.malformed(format!("more than {LAYER_LIMIT} layers")));
        }
        if !self.rids.iter().any(|known| known == id) {
            self.rids.push(id.to_owned());
        }
        Ok(())
    }

    /// `send q;~h,x;f recv ...`: layers with alternatives, of which the first is taken (RFC 8853, section 5.1).
    fn simulcast(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let mut words = value.split_ascii_whitespace();
        let Some(layers) = words.by_ref().find(|word| *word == "send").and_then(|_| words.next()) else {
            return Ok(());
        };
        let mut simulcast = Vec::new();
        for layer in layers.split(';') {
            let id = layer.split(',').next().unwrap_or_default();
            let id = id.strip_prefix('~').unwrap_or(id);
            check_rid(line, id)?;
            if simulcast.len() == LAYER_LIMIT {
                return Err(line.malformed(format!("more than {LAYER_LIMIT} layers")));
            }
            simulcast.push(id.to_owned());
        }
        self.section.media.simulcast = simulcast;
        Ok(())
    }

    fn ssrc(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let word = value.split_ascii_whitespace().next().unwrap_or_default();
        let ssrc = number(line, "the SSRC", word)?;
        if self.section.media.ssrcs.contains(&ssrc) {
            return Ok(());
        }
        if self.section.media.ssrcs.len() == SSRC_LIMIT {
            return Err(line.malformed(format!("more than {SSRC_LIMIT} SSRCs in a section")));
        }
        self.section.media.ssrcs.push(ssrc);
        Ok(())
    }

    fn ssrc_group(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("FID") || self.section.media.rtx_ssrcs.len() == SSRC_LIMIT {
            return Ok(());
        }
        let (Some(media), Some(repair), None) = (words.next(), words.next(), words.next()) else {
            return Err(line.malformed("ssrc-group:FID has two SSRCs"));
        };
        let pair = (number(line, "the SSRC", media)?, number(line, "the SSRC", repair)?);
        self.section.media.rtx_ssrcs.push(pair);
        Ok(())
    }

    fn finish(self) -> Result<Section, OfferError> {
        let mut section = self.section;
        section.media.rejected = self.port == 0 && !self.bundle_only;
        if let Purpose::Media(kind) = section.media.purpose {
            if !self.rtcp_mux && !section.media.rejected {
                return Err(OfferError::Unsupported {
                    what: format!("the section of line {} sends RTCP apart: offer a=rtcp-mux", section.line),
                });
            }
            section.media.payloads = payloads(kind, &self.drafts);
        }
        section.media.simulcast.retain(|layer| self.rids.contains(layer));
        Ok(section)
    }
}

impl Draft {
    fn add_feedback(&mut self, known: &'static str) {
        if !self.feedback.contains(&known) {
            self.feedback.push(known);
        }
    }

    /// Name, clock and channels; three numbers have theirs without `rtpmap` (RFC 3551, section 6).
    fn coding(&self) -> Option<(String, u32, u8)> {
        let fixed = |name: &str| Some((name.to_owned(), 8000, 1));
        self.map.clone().or_else(|| match self.number {
            0 => fixed("PCMU"),
            8 => fixed("PCMA"),
            9 => fixed("G722"),
            _ => None,
        })
    }

    /// The payload type that this one retransmits (RFC 4588, section 8.6).
    fn repairs(&self) -> Option<u8> {
        let (name, ..) = self.map.as_ref()?;
        let format = self.format.as_deref().filter(|_| name.eq_ignore_ascii_case("rtx"))?;
        super::negotiate::parameter(format, "apt")?.parse().ok()
    }
}

fn purpose(kind: &str, protocol: &str, formats: &[&str]) -> Purpose {
    let encrypted = ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "RTP/SAVPF", "RTP/SAVP"];
    match kind {
        "video" if encrypted.contains(&protocol) => Purpose::Media(Kind::Video),
        "audio" if encrypted.contains(&protocol) => Purpose::Media(Kind::Audio),
        "application"
            if matches!(protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP") && formats == ["webrtc-datachannel"] =>
        {
            Purpose::DataChannels
        }
        _ => Purpose::Other,
    }
}

/// Numbers are below 128 and none stands twice, so there are at most 128.
fn drafts(line: &Line<'_>, formats: &[&str]) -> Result<Vec<Draft>, OfferError> {
    let mut seen = [false; 128];
    let mut drafts = Vec::with_capacity(formats.len());
    for format in formats {
        let number = format.parse::<u8>().ok();
        let place = number.and_then(|number| Some((number, seen.get_mut(usize::from(number))?)));
        let Some((number, taken)) = place else {
            return Err(line.malformed(format!("{} is not a payload type, 0 to 127", shown(format))));
        };
        if std::mem::replace(taken, true) {
            return Err(line.malformed(format!("the payload type {number} stands there twice")));
        }
        drafts.push(Draft { number, map: None, format: None, feedback: Vec::new() });
    }
    Ok(drafts)
}

/// Payload types that mean something, each with the one that retransmits it.
fn payloads(kind: Kind, drafts: &[Draft]) -> Vec<Payload> {
    let mut repairs = [None; 128];
    for draft in drafts {
        if let Some(place) = draft.repairs().and_then(|number| repairs.get_mut(usize::from(number))) {
            place.get_or_insert(draft.number);
        }
    }
    let payload = |draft: &Draft| {
        let (name, clock_rate, channels) = draft.coding()?;
        if name.eq_ignore_ascii_case("rtx") {
            return None;
        }
        let codec = Codec::from_name(&name).filter(|codec| fits(*codec, kind, clock_rate, channels));
        Some(Payload {
            number: draft.number,
            name,
            codec,
            clock_rate,
            channels,
            format: draft.format.clone().unwrap_or_default(),
            feedback: draft.feedback.iter().map(|known| (*known).to_owned()).collect(),
            rtx: repairs.get(usize::from(draft.number)).copied().flatten(),
        })
    };
    drafts.iter().filter_map(payload).collect()
}

/// The clock and the channels that a codec's RTP payload format fixes.
fn fits(codec: Codec, kind: Kind, clock_rate: u32, channels: u8) -> bool {
    codec.kind() == kind
        && match codec {
            Codec::Opus => clock_rate == 48_000 && channels == 2,
            Codec::Pcma | Codec::Pcmu => clock_rate == 8_000 && channels == 1,
            Codec::Aac => true,
            _ => clock_rate == 90_000,
        }
}

fn check_rid(line: &Line<'_>, id: &str) -> Result<(), OfferError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > RID_LIMIT || !id.bytes().all(allowed) {
        return Err(line.malformed(format!("a rid has 1 to {RID_LIMIT} letters and digits")));
    }
    Ok(())
}

fn sctp_port(line: &Line<'_>, value: &str) -> Result<u16, OfferError> {
    match number(line, "sctp-port", value)? {
        0 => Err(line.malformed("sctp-port is 0")),
        port => Ok(port),
    }
}

fn number<T: std::str::FromStr>(line: &Line<'_>, name: &str, value: &str) -> Result<T, OfferError> {
    value
        .parse()
        .map_err(|_| line.malformed(format!("{name} is {}, which is no number in its range", shown(value))))
}

/// What is cited of an offer in an error.
fn shown(text: &str) -> String {
    text.chars().take(32).collect()
}

/// Characters of a token (RFC 8866, section 9).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte)
}
