//! Names in certificates as text that is safe to show: no control characters, no marks that turn the direction of writing, and of bounded length.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use x509_parser::{
    extensions::GeneralName,
    x509::{AttributeTypeAndValue, X509Name},
};

/// Characters that are shown of one value.
const MAX_SHOWN: usize = 1024;

/// A distinguished name as RFC 4514 writes it: the most specific part first.
pub(crate) fn rfc4514(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// A name that a certificate is for.
pub(crate) fn general(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            printable(text)
        }
        GeneralName::IPAddress(bytes) => address(bytes),
        GeneralName::DirectoryName(name) => rfc4514(name),
        GeneralName::OtherName(oid, _) => format!("other name of type {}", printable(&oid.to_id_string())),
        GeneralName::RegisteredID(oid) => printable(&oid.to_id_string()),
        GeneralName::X400Address(_) => "an X.400 address".to_owned(),
        GeneralName::EDIPartyName(_) => "an EDI party name".to_owned(),
        GeneralName::Invalid(_, bytes) => format!("unreadable: {}", shortened(&hex::encode(bytes))),
    }
}

/// Text with what cannot be shown written as escapes of its bytes.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in shortened(text).chars() {
        push(&mut shown, character);
    }
    shown
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = printable(&attribute.attr_type().to_id_string());
    let kind = keyword(&oid).unwrap_or(&oid);
    match text(attribute) {
        Some(value) => format!("{kind}={}", escaped(&value)),
        // RFC 4514 section 2.4: a value that is no string is written as its bytes.
        None => format!("{kind}=#{}", shortened(&hex::encode(attribute.as_slice()))),
    }
}

/// Short words for types: those of RFC 4514 section 3, and others that are known to everybody.
fn keyword(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let bytes = attribute.as_slice();
    match attribute.attr_value().tag().0 {
        // UTF8String, NumericString, PrintableString, IA5String
        12 | 18 | 19 | 22 => String::from_utf8(bytes.to_vec()).ok(),
        // TeletexString, which everybody writes as Latin-1
        20 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString
        30 => {
            let units = bytes.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map(u16::from_be_bytes));
            String::from_utf16(&units.collect::<Result<Vec<_>, _>>().ok()?).ok()
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4.
fn escaped(value: &str) -> String {
    let value = shortened(value);
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, character) in value.chars().enumerate() {
        let is_special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (at == 0 && matches!(character, '#' | ' '))
            || (at == last && character == ' ');
        if is_special {
            text.push('\\');
        }
        push(&mut text, character);
    }
    text
}

fn push(text: &mut String, character: char) {
    if !is_hidden(character) {
        text.push(character);
        return;
    }
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        write!(text, "\\{byte:02X}").expect("a string takes all that is written");
    }
}

/// Control characters, and marks that make text read otherwise than it is written.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_SHOWN {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    short.push('…');
    short
}

fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(bytes).to_string();
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        return Ipv6Addr::from(bytes).to_string();
    }
    format!("unreadable address: {}", shortened(&hex::encode(bytes)))
}
