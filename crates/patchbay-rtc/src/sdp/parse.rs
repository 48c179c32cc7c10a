//! From the text of an offer to [`Offer`]: strict in what a connection hangs on, lenient in the rest. Linear in the size of the text.

use super::lines::{self, Line};
use super::section::{Section, direction};
use super::transport::Transport;
use super::{Direction, Offer, OfferError, Options, Purpose};

/// Bytes of a description that are enough for any browser: a call with 30 people takes about 40 KiB.
pub const OFFER_LIMIT: usize = 64 * 1024;
/// Media sections of an offer.
pub(super) const SECTION_LIMIT: usize = 64;
/// Attributes of a section, and of the description before its first section.
pub(super) const ATTRIBUTE_LIMIT: usize = 1024;

impl Offer {
    /// Reads an offer of at most `limit` bytes ([`OFFER_LIMIT`] is a good one).
    pub fn parse(text: &str, limit: usize) -> Result<Self, OfferError> {
        let lines = lines::read(text, limit)?;
        check_version(&lines)?;
        let mut parts = lines.chunk_by(|_, next| next.kind != 'm');
        let session = Session::read(parts.next().unwrap_or_default())?;
        let mut sections = Vec::new();
        for part in parts {
            if sections.len() == SECTION_LIMIT {
                return Err(too_many_sections(part));
            }
            sections.push(Section::read(part, session.direction)?);
        }
        session.assemble(sections)
    }
}

fn check_version(lines: &[Line<'_>]) -> Result<(), OfferError> {
    match lines.first() {
        Some(line) if line.kind == 'v' && line.value == "0" => Ok(()),
        Some(line) => Err(line.malformed("a description begins with v=0")),
        None => Err(OfferError::Missing { what: "v=0" }),
    }
}

fn too_many_sections(part: &[Line<'_>]) -> OfferError {
    let line = part.first().map_or(0, |line| line.number);
    OfferError::Malformed { line, problem: format!("more than {SECTION_LIMIT} media sections") }
}

/// What stands before the first media section.
struct Session<'a> {
    transport: Transport,
    direction: Direction,
    mixed_extensions: bool,
    bundle: Option<Vec<&'a str>>,
}

impl<'a> Session<'a> {
    fn read(lines: &[Line<'a>]) -> Result<Self, OfferError> {
        let mut session = Self {
            transport: Transport::default(),
            direction: Direction::SendReceive,
            mixed_extensions: false,
            bundle: None,
        };
        for (count, line) in lines.iter().enumerate() {
            if count == ATTRIBUTE_LIMIT {
                return Err(
                    line.malformed(format!("more than {ATTRIBUTE_LIMIT} lines before the first section"))
                );
            }
            if let Some((name, value)) = line.attribute() {
                session.attribute(line, name, value)?;
            }
        }
        Ok(session)
    }

    fn attribute(&mut self, line: &Line<'a>, name: &'a str, value: &'a str) -> Result<(), OfferError> {
        match name {
            "group" => self.group(line, value),
            "extmap-allow-mixed" => {
                self.mixed_extensions = true;
                Ok(())
            }
            _ => {
                self.direction = direction(name).unwrap_or(self.direction);
                self.transport.attribute(line, name, value)
            }
        }
    }

    fn group(&mut self, line: &Line<'a>, value: &'a str) -> Result<(), OfferError> {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("BUNDLE") || self.bundle.is_some() {
            return Ok(());
        }
        let mids: Vec<&str> = words.take(SECTION_LIMIT + 1).collect();
        if mids.len() > SECTION_LIMIT {
            return Err(line.malformed(format!("more than {SECTION_LIMIT} sections in a bundle")));
        }
        self.bundle = Some(mids);
        Ok(())
    }

    fn assemble(self, sections: Vec<Section>) -> Result<Offer, OfferError> {
        if sections.is_empty() {
            return Err(OfferError::Missing { what: "media section" });
        }
        check_mids(&sections)?;
        let transport = match &self.bundle {
            Some(mids) => self.bundled(mids, &sections)?,
            None => self.unbundled(&sections)?,
        };
        transport.check_setup()?;
        let taken = || sections.iter().filter(|section| !section.media.rejected);
        let mut of_media = taken().filter(|section| matches!(section.media.purpose, Purpose::Media(_)));
        let options = Options {
            bundle: self.bundle.is_some(),
            mixed_extensions: self.mixed_extensions || taken().all(|section| section.mixed_extensions),
            reduced_rtcp: of_media.all(|section| section.reduced_rtcp),
        };
        Ok(Offer {
            ice: transport.credentials()?,
            fingerprint: transport.trusted()?,
            options,
            media: sections.into_iter().map(|section| section.media).collect(),
        })
    }

    /// The transport of a bundle is that of the first of its sections that is not refused (RFC 9143, section 7.2).
    fn bundled(&self, mids: &[&str], sections: &[Section]) -> Result<Transport, OfferError> {
        let outside = needed(sections).find(|(_, section)| !mids.contains(&section.media.mid.as_str()));
        if let Some((index, _)) = outside {
            return Err(OfferError::Unsupported {
                what: format!(
                    "media section {index} is not in the bundle: all media share one transport here (bundlePolicy max-bundle)"
                ),
            });
        }
        let tagged = mids.iter().find_map(|mid| {
            sections.iter().find(|section| section.media.mid == *mid && !section.media.rejected)
        });
        let Some(tagged) = tagged else {
            return Err(OfferError::Missing { what: "media section that is in the bundle and not refused" });
        };
        Ok(tagged.transport.or(&self.transport))
    }

    /// Without a bundle there must be one transport all the same.
    fn unbundled(&self, sections: &[Section]) -> Result<Transport, OfferError> {
        let mut transports = needed(sections).map(|(_, section)| section.transport.or(&self.transport));
        let Some(first) = transports.next() else {
            return Err(OfferError::Missing { what: "media section that is not refused" });
        };
        let credentials = first.credentials()?;
        for transport in transports {
            if transport.credentials()? != credentials {
                return Err(OfferError::Unsupported {
                    what: "the media sections ask for transports of their own: offer a=group:BUNDLE with all of them".to_owned(),
                });
            }
        }
        Ok(first)
    }
}

/// The sections that an answer may take, with their places.
fn needed(sections: &[Section]) -> impl Iterator<Item = (usize, &Section)> {
    sections
        .iter()
        .enumerate()
        .filter(|(_, section)| !section.media.rejected && section.media.purpose != Purpose::Other)
}

fn check_mids(sections: &[Section]) -> Result<(), OfferError> {
    let mut seen = std::collections::HashSet::new();
    for section in sections.iter().filter(|section| !section.media.mid.is_empty()) {
        if !seen.insert(section.media.mid.as_str()) {
            let problem = format!("another section has the mid {} as well", section.media.mid);
            return Err(OfferError::Malformed { line: section.line, problem });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
pub(crate) mod tests;
