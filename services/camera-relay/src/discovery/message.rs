//! The messages of WS-Discovery (OASIS, April 2005 draft, as ONVIF Core, section 7.3, uses it): bytes in, bytes out.

use crate::xml::{self, Attributes, Visitor, XmlError};
use percent_encoding::percent_decode_str;

/// Characters of a name or hardware that are kept.
const NAME: usize = 64;

/// Addresses of one device that are looked at.
const ADDRESSES: usize = 8;

/// Devices of one answer that are looked at; cameras answer for themselves alone.
const MATCHES: usize = 8;

/// Elements of an answer at most.
const ELEMENTS: usize = 4096;

/// What is asked for: cameras by either of the two types under which they answer.
pub(super) const TYPES: [(&str, &str); 2] = [
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
];

/// A question for devices of a type; `id` is a UUID.
pub(super) fn probe(id: &str, (namespace, name): (&str, &str)) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing""#,
            r#" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:t="{namespace}">"#,
            r#"<s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"#,
            r#"<a:MessageID>urn:uuid:{id}</a:MessageID>"#,
            r#"<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"#,
            r#"<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>"#,
            r#"<s:Body><d:Probe><d:Types>t:{name}</d:Types></d:Probe></s:Body></s:Envelope>"#,
        ),
        namespace = namespace,
        name = name,
        id = id,
    )
}

/// A device that has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// What it is called everywhere and always.
    pub(super) endpoint: String,
    /// Its name, as people gave it; may be empty.
    pub(super) name: String,
    /// Its model; may be empty.
    pub(super) hardware: String,
    /// Addresses of its services.
    pub(super) addresses: Vec<String>,
}

impl Device {
    /// Name and model, without saying the same twice.
    pub(super) fn title(&self) -> String {
        let (name, hardware) = (self.name.trim(), self.hardware.trim());
        match (name, hardware) {
            ("", other) | (other, "") => other.to_owned(),
            _ if name.contains(hardware) => name.to_owned(),
            _ => format!("{name} {hardware}"),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The question that it answers, where it says so.
    pub(super) relates_to: Option<String>,
    /// Who answers.
    pub(super) devices: Vec<Device>,
}

/// Reads an answer. One without devices is none.
pub(super) fn answer(datagram: &[u8]) -> Result<Answer, XmlError> {
    let mut reading = Reading::default();
    xml::read(&String::from_utf8_lossy(datagram), ELEMENTS, &mut reading)?;
    Ok(reading.answer)
}

#[derive(Default)]
struct Reading {
    answer: Answer,
    /// The device whose part of the answer is being read.
    device: Option<Device>,
    in_endpoint: bool,
}

impl Visitor for Reading {
    fn begin(&mut self, name: &str, _: &Attributes<'_>) {
        match name {
            "ProbeMatch" => self.device = Some(Device::default()),
            "EndpointReference" => self.in_endpoint = true,
            _ => {}
        }
    }

    fn end(&mut self, name: &str, text: &str) {
        match (name, &mut self.device) {
            ("RelatesTo", _) => self.answer.relates_to = Some(text.to_owned()),
            ("EndpointReference", _) => self.in_endpoint = false,
            ("Address", Some(device)) if self.in_endpoint => text.clone_into(&mut device.endpoint),
            ("XAddrs", Some(device)) => {
                device.addresses = text.split_whitespace().take(ADDRESSES).map(str::to_owned).collect();
            }
            ("Scopes", Some(device)) => scopes(device, text),
            ("ProbeMatch", device) => {
                let read = device.take().filter(|_| self.answer.devices.len() < MATCHES);
                self.answer.devices.extend(read);
            }
            _ => {}
        }
    }
}

/// Scopes are addresses such as `onvif://www.onvif.org/name/Front%20door`.
fn scopes(device: &mut Device, text: &str) {
    for scope in text.split_whitespace() {
        let Some(told) = scope.strip_prefix("onvif://www.onvif.org/") else { continue };
        match told.split_once('/') {
            Some(("name", name)) if device.name.is_empty() => device.name = words(name),
            Some(("hardware", hardware)) if device.hardware.is_empty() => device.hardware = words(hardware),
            _ => {}
        }
    }
}

/// What a stranger calls himself, without what would steer a terminal.
fn words(text: &str) -> String {
    xml::harmless(&percent_decode_str(text).decode_utf8_lossy(), NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">
<SOAP-ENV:Header><wsa:MessageID>urn:uuid:1</wsa:MessageID><wsa:RelatesTo>urn:uuid:2</wsa:RelatesTo></SOAP-ENV:Header>
<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch>
<wsa:EndpointReference><wsa:Address>urn:uuid:cam</wsa:Address></wsa:EndpointReference>
<d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>
<d:Scopes>onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/hardware/DS-2CD2042 onvif://www.onvif.org/name/HIKVISION%20Yard%1b[2J</d:Scopes>
<d:XAddrs>http://192.168.1.64/onvif/device_service http://[fe80::1]/onvif/device_service</d:XAddrs>
<d:MetadataVersion>10</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"#;

    struct Texts(Vec<String>);
    impl Visitor for Texts {
        fn begin(&mut self, _: &str, _: &Attributes<'_>) {}
        fn end(&mut self, name: &str, text: &str) {
            self.0.push(format!("{name}={text}"));
        }
    }

    #[test]
    fn a_question_is_read_by_the_same_reader() {
        let question = probe("42", TYPES[0]);
        let mut texts = Texts(Vec::new());
        xml::read(&question, ELEMENTS, &mut texts).unwrap();
        for expected in ["MessageID=urn:uuid:42", "Types=t:NetworkVideoTransmitter"] {
            assert!(texts.0.iter().any(|text| text == expected), "{expected}: {:?}", texts.0);
        }
    }

    #[test]
    fn an_answer_is_read_without_what_steers_terminals() {
        let answer = answer(ANSWER.as_bytes()).unwrap();
        assert_eq!(answer.relates_to.as_deref(), Some("urn:uuid:2"));
        let [device] = &*answer.devices else { panic!("{answer:?}") };
        assert_eq!(
            (device.endpoint.as_str(), device.title().as_str()),
            ("urn:uuid:cam", "HIKVISION Yard[2J DS-2CD2042")
        );
        assert_eq!(
            device.addresses,
            ["http://192.168.1.64/onvif/device_service", "http://[fe80::1]/onvif/device_service"]
        );
    }

    #[test]
    fn every_cut_of_an_answer_is_an_error_or_no_device() {
        for end in 0..ANSWER.len() {
            if let Ok(answer) = answer(&ANSWER.as_bytes()[..end]) {
                assert!(answer.devices.is_empty(), "{end}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_changed_makes_it_panic_or_large(
            changes in proptest::collection::vec((0..ANSWER.len(), proptest::num::u8::ANY), 0..20),
        ) {
            let mut bytes = ANSWER.as_bytes().to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            if let Ok(answer) = answer(&bytes) {
                proptest::prop_assert!(answer.devices.len() <= MATCHES);
                for device in answer.devices {
                    proptest::prop_assert!(device.title().chars().count() <= 2 * NAME + 1);
                    proptest::prop_assert!(!device.title().chars().any(char::is_control));
                }
            }
        }
    }
}
