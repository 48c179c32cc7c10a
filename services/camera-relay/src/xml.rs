//! Reads the XML of strangers: names without prefixes, their attributes and texts, within bounds. There are no document types, no entities but the five of XML itself and
//! characters by number, and nothing is fetched.

use quick_xml::{
    Reader, XmlVersion,
    errors::Error,
    events::{BytesRef, BytesStart, Event},
};

/// Elements within each other at most; SOAP has some ten.
const DEPTH: usize = 32;

/// Bytes of a text or an attribute that are kept; what follows is left out.
const TEXT: usize = 4096;

/// Why a document was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("it is not well formed")]
    Malformed(#[source] Error),
    #[error("it ends too early, or closes what it has not opened")]
    Unbalanced,
    #[error("it has a document type, or an entity")]
    Forbidden,
    #[error("it is too large")]
    TooLarge,
}

/// Told of the parts of a document.
pub(crate) trait Visitor {
    /// An element begins.
    fn begin(&mut self, name: &str, attributes: &Attributes<'_>);
    /// An element ends. `text` is what stood directly in it, without spaces at both ends.
    fn end(&mut self, name: &str, text: &str);
}

/// The attributes of an element.
pub(crate) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// An attribute by its whole name; none where it is not there or cannot be read.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let attribute = self.0.try_get_attribute(name).ok()??;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        (value.len() <= TEXT).then(|| value.into_owned())
    }
}

/// Words of a stranger, without what would steer a terminal, and no more characters than that.
pub(crate) fn harmless(text: &str, most: usize) -> String {
    text.chars().filter(|letter| !steers(*letter)).take(most).collect()
}

fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads a document of so many elements at most.
pub(crate) fn read(document: &str, most: usize, visitor: &mut impl Visitor) -> Result<(), XmlError> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<(String, String)> = Vec::new();
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(XmlError::Malformed)? {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= DEPTH || elements > most {
                    return Err(XmlError::TooLarge);
                }
                let name = start.local_name().as_ref().to_owned();
                visitor.begin(&name, &Attributes(&start));
                open.push((name, String::new()));
            }
            Event::End(_) => {
                let (name, text) = open.pop().ok_or(XmlError::Unbalanced)?;
                visitor.end(&name, text.trim());
            }
            Event::Text(text) => keep(&mut open, &text.xml10_content()),
            Event::CData(text) => keep(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let letter = resolve(&reference)?;
                keep(&mut open, letter.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(XmlError::Forbidden),
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err(XmlError::Unbalanced),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(letter) = reference.resolve_char_ref().map_err(XmlError::Malformed)? {
        return Ok(letter);
    }
    match &*reference.xml10_content() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(XmlError::Forbidden),
    }
}

fn keep(open: &mut [(String, String)], text: &str) {
    let Some((_, kept)) = open.last_mut() else { return };
    let room = TEXT.saturating_sub(kept.len());
    let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    kept.push_str(text.get(..end).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const MOST: usize = 1000;

    #[derive(Default)]
    struct Seen(Vec<(String, String)>);

    impl Visitor for Seen {
        fn begin(&mut self, _: &str, attributes: &Attributes<'_>) {
            self.0.extend(attributes.get("token").map(|token| ("token".to_owned(), token)));
        }

        fn end(&mut self, name: &str, text: &str) {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }

    fn seen(document: &str) -> Result<Vec<(String, String)>, XmlError> {
        let mut seen = Seen::default();
        read(document, MOST, &mut seen).map(|()| seen.0)
    }

    #[test]
    fn names_lose_their_prefix_and_texts_are_whole() {
        let document = "<?xml version=\"1.0\"?><s:a xmlns:s='urn:x'><b> 1 &lt; 2 &#x26; &amp;<c/><![CDATA[ <3]]> </b></s:a>";
        let expected = [("c", ""), ("b", "1 < 2 & & <3"), ("a", "")];
        assert_eq!(seen(document).unwrap(), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn attributes_are_read_where_they_are_well_formed() {
        let expected = [("token", "a&b"), ("p", "")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(seen("<p fixed='1' token='a&amp;b'/>").unwrap(), expected);
        let long = format!("<p token='{}'/>", "x".repeat(TEXT + 1));
        for odd in ["<p/>", "<p tok='1'/>", "<p token='&unknown;'/>", "<p token=1/>", "<p token/>", &long] {
            assert!(seen(odd).is_ok_and(|seen| seen.len() == 1), "{odd}");
        }
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;\">]><a>&y;</a>";
        let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
        for document in [bomb, outside, "<a>&unknown;</a>"] {
            assert!(matches!(seen(document), Err(XmlError::Forbidden)), "{document}");
        }
        let deep = "<a>".repeat(100_000);
        let many = format!("<r>{}</r>", "<a/>".repeat(100_000));
        for document in [&deep, &many] {
            let begun = Instant::now();
            assert!(matches!(seen(document), Err(XmlError::TooLarge)));
            println!("{} bytes were refused in {:?}", document.len(), begun.elapsed());
        }
        for document in ["<a>", "<a></b>", "</a>", "<a", "<a><b></a></b>", "&amp;<", "<a>&#xd800;</a>"] {
            assert!(seen(document).is_err(), "{document}");
        }
        let long = seen(&format!("<a>{}</a>", "ä".repeat(1_000_000))).unwrap();
        assert!(long.iter().all(|(_, text)| text.len() <= TEXT));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(document in "(<[a-c:/!?&;#\\[\\]=\"' ]{0,9}>|[&;#x0-9a<>]{0,5}|\\PC{0,3}){0,20}") {
            drop(seen(&document));
        }
    }
}
