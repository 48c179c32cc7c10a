//! Candidates that come after the offer: one by one, or as `application/trickle-ice-sdpfrag` (RFC 8840, section 9).
//!
//! A lite agent learns addresses from the checks that arrive, so it has no use for candidates; they are checked all the same, so that
//! a mistake is told to whoever made it. What counts is new credentials: they ask for a restart of ICE (RFC 9725, section 4.3.3).

use super::lines::{self, Line};
use super::parse::{ATTRIBUTE_LIMIT, SECTION_LIMIT};
use super::section::is_token;
use super::transport::Transport as Reach;
use super::{Credentials, Offer, OfferError, Transport};
use std::net::{IpAddr, SocketAddr};

/// Bytes of a fragment; candidates of many interfaces take some KiB.
const FRAGMENT_LIMIT: usize = 16 * 1024;
/// Characters of a candidate.
const CANDIDATE_LIMIT: usize = 1024;

/// What a fragment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// ICE credentials to which the candidates belong. Other ones than before ask for a restart.
    pub ice: Option<Credentials>,
    /// `mid`s of the sections that it names.
    pub mids: Vec<String>,
    /// Candidates.
    pub candidates: Vec<RemoteCandidate>,
    /// No more candidates will come.
    pub complete: bool,
}

/// A candidate of the offerer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// `mid` of the section in which it stands.
    pub mid: Option<String>,
    /// How it is reached.
    pub transport: Transport,
    /// Where; None for a name (browsers hide addresses behind `.local` names) and for TCP that only opens connections.
    pub address: Option<SocketAddr>,
}

impl Offer {
    /// Reads a fragment that belongs to an offer.
    pub fn parse_fragment(text: &str) -> Result<Fragment, OfferError> {
        let lines = lines::read(text, FRAGMENT_LIMIT)?;
        let mut reader = Reader::default();
        for (count, line) in lines.iter().enumerate() {
            if count == ATTRIBUTE_LIMIT {
                return Err(line.malformed(format!("more than {ATTRIBUTE_LIMIT} lines in a fragment")));
            }
            reader.line(line)?;
        }
        reader.finish()
    }
}

impl RemoteCandidate {
    /// Reads a candidate as a browser hands it out, `candidate:...`, with or without `a=` before it. None for the empty one, which says that no more will come.
    pub fn parse(text: &str, mid: Option<&str>) -> Result<Option<Self>, OfferError> {
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        if text.is_empty() {
            return Ok(None);
        }
        read_candidate(text, mid).map(Some).map_err(|problem| OfferError::Malformed { line: 1, problem })
    }
}

#[derive(Default)]
struct Reader {
    fragment: Fragment,
    reach: Reach,
    mid: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &Line<'_>) -> Result<(), OfferError> {
        if line.kind == 'm' {
            self.mid = None;
        }
        let Some((name, value)) = line.attribute() else { return Ok(()) };
        match name {
            "mid" => self.enter(line, value),
            "end-of-candidates" => {
                self.fragment.complete = true;
                Ok(())
            }
            "candidate" => {
                let candidate =
                    read_candidate(value, self.mid.as_deref()).map_err(|problem| line.malformed(problem))?;
                self.fragment.candidates.push(candidate);
                Ok(())
            }
            _ => self.reach.attribute(line, name, value),
        }
    }

    fn enter(&mut self, line: &Line<'_>, mid: &str) -> Result<(), OfferError> {
        if mid.is_empty() || mid.len() > 64 || !mid.bytes().all(is_token) {
            return Err(line.malformed("a mid is a word of 1 to 64 characters"));
        }
        if self.fragment.mids.len() == SECTION_LIMIT {
            return Err(line.malformed(format!("more than {SECTION_LIMIT} media sections")));
        }
        self.fragment.mids.push(mid.to_owned());
        self.mid = Some(mid.to_owned());
        Ok(())
    }

    fn finish(mut self) -> Result<Fragment, OfferError> {
        self.fragment.ice = self.reach.credentials_if_any()?;
        Ok(self.fragment)
    }
}

/// `foundation component transport priority address port typ type ...` (RFC 8839, section 5.1).
fn read_candidate(text: &str, mid: Option<&str>) -> Result<RemoteCandidate, String> {
    if text.len() > CANDIDATE_LIMIT {
        return Err(format!("a candidate has {} bytes, and {CANDIDATE_LIMIT} is the most", text.len()));
    }
    let mut words = text.split_ascii_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("a candidate without {what}"));
    let foundation = word("a foundation")?;
    if foundation.len() > 32 {
        return Err("the foundation of a candidate has more than 32 characters".to_owned());
    }
    let component: u16 = number(word("a component")?, "the component")?;
    if !(1..=256).contains(&component) {
        return Err("the component of a candidate is not 1 to 256".to_owned());
    }
    let transport = transport(word("a transport")?)?;
    let _: u32 = number(word("a priority")?, "the priority")?;
    let host = word("an address")?;
    let port: u16 = number(word("a port")?, "the port")?;
    if word("typ")? != "typ" {
        return Err("a candidate has typ and its type after the port".to_owned());
    }
    if !matches!(word("a type")?, "host" | "srflx" | "prflx" | "relay") {
        return Err("the type of a candidate is host, srflx, prflx or relay".to_owned());
    }
    // Port 9 of TCP stands for "I only open connections" (RFC 6544, section 4.5).
    let reachable = transport == Transport::Udp || port != 9;
    let address = address(host)?.filter(|_| reachable).map(|address| SocketAddr::new(address, port));
    Ok(RemoteCandidate { mid: mid.map(ToOwned::to_owned), transport, address })
}

fn transport(name: &str) -> Result<Transport, String> {
    match name {
        _ if name.eq_ignore_ascii_case("udp") => Ok(Transport::Udp),
        _ if name.eq_ignore_ascii_case("tcp") => Ok(Transport::Tcp),
        _ => Err("the transport of a candidate is udp or tcp".to_owned()),
    }
}

/// An address, or None for a name.
fn address(host: &str) -> Result<Option<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(Some(address));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.len() > 253 || !host.bytes().all(allowed) {
        return Err("the address of a candidate is neither an address nor a name".to_owned());
    }
    Ok(None)
}

fn number<T: std::str::FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{what} of a candidate is no number in its range"))
}

#[cfg(test)]
#[path = "fragment_tests.rs"]
mod tests;
