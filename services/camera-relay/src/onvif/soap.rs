//! SOAP 1.2 as ONVIF uses it (ONVIF Core, section 5): questions and answers; bytes in, bytes out.

use super::tree::Element;
use crate::xml::{self, XmlError};

/// Characters of a fault's words that are kept.
const WORDS: usize = 200;

/// A question.
pub(super) struct Operation {
    /// Namespace of the service that has it.
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    /// What is in it: XML of the namespace `o`, which is the operation's.
    pub(super) arguments: String,
}

impl Operation {
    /// The media type, with the action that some devices choose by.
    pub(super) fn content_type(&self) -> String {
        format!("application/soap+xml; charset=utf-8; action=\"{}/{}\"", self.namespace, self.name)
    }

    /// The whole question; `header` is XML.
    pub(super) fn envelope(&self, header: &str) -> String {
        let Self { namespace, name, arguments } = self;
        format!(
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>{header}</s:Header>"#,
                r#"<s:Body><o:{name} xmlns:o="{namespace}">{arguments}</o:{name}></s:Body></s:Envelope>"#,
            ),
            header = header,
            name = name,
            namespace = namespace,
            arguments = arguments,
        )
    }
}

/// Why an answer tells nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum SoapError {
    #[error("it cannot be read: {0}")]
    Xml(#[from] XmlError),
    /// A page of the camera, or anything else.
    #[error("it is no message of SOAP")]
    NoEnvelope,
    #[error("it is not what was asked for")]
    Other,
    /// The device wants a login, or another one.
    #[error("it refuses the login: {0}")]
    NotAuthorized(String),
    /// Any other refusal, in the device's words.
    #[error("it refuses: {0}")]
    Fault(String),
}

/// What is told in an answer to a question of this name.
pub(super) fn answer(document: &str, operation: &str) -> Result<Element, SoapError> {
    let envelope = Element::read(document).map_err(|error| unreadable(document, error))?;
    if envelope.name != "Envelope" {
        return Err(SoapError::NoEnvelope);
    }
    let body = envelope.into_children().find(|child| child.name == "Body");
    let told = body.and_then(|body| body.into_children().next()).ok_or(SoapError::Other)?;
    if told.name == "Fault" {
        return Err(fault(&told));
    }
    let is_expected = told.name.strip_suffix("Response") == Some(operation);
    is_expected.then_some(told).ok_or(SoapError::Other)
}

/// Pages are seldom well formed XML, and are not meant to be.
fn unreadable(document: &str, error: XmlError) -> SoapError {
    match error {
        XmlError::Malformed(_) | XmlError::Unbalanced | XmlError::Forbidden
            if !document.contains("Envelope") =>
        {
            SoapError::NoEnvelope
        }
        other => other.into(),
    }
}

/// A fault of SOAP 1.2, or of SOAP 1.1, which old devices answer with.
fn fault(fault: &Element) -> SoapError {
    let codes = fault.texts("Value").into_iter().chain(fault.texts("faultcode"));
    let is_login = codes.map(local).any(|code| matches!(code, "NotAuthorized" | "FailedAuthentication"));
    let words = ["Text", "faultstring"].into_iter().find_map(|name| fault.texts(name).into_iter().next());
    let code = fault.texts("Value").into_iter().next_back().map(local);
    let words = words.filter(|words| !words.is_empty()).or(code).unwrap_or("it does not say why");
    let words = xml::harmless(words, WORDS);
    if is_login { SoapError::NotAuthorized(words) } else { SoapError::Fault(words) }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(body: &str) -> String {
        format!("<s:Envelope xmlns:s='urn:s'><s:Header/><s:Body>{body}</s:Body></s:Envelope>")
    }

    fn refused(code: &str) -> SoapError {
        let fault = format!(
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text>Oh\u{1b}[2J</s:Text></s:Reason></s:Fault>"
        );
        answer(&envelope(&fault), "GetProfiles").unwrap_err()
    }

    #[test]
    fn a_question_is_read_by_the_same_reader() {
        let asked = Operation { namespace: "urn:n", name: "GetX", arguments: "<o:Y>1</o:Y>".to_owned() };
        let tree = Element::read(&asked.envelope("<h>2</h>")).unwrap();
        assert_eq!((tree.text_at(&["Body", "GetX", "Y"]), tree.text_at(&["Header", "h"])), ("1", "2"));
        assert!(asked.content_type().ends_with("action=\"urn:n/GetX\""));
    }

    #[test]
    fn an_answer_is_that_to_the_question() {
        let told = answer(&envelope("<GetXResponse><Y>1</Y></GetXResponse>"), "GetX").unwrap();
        assert_eq!(told.text_at(&["Y"]), "1");
        for odd in [envelope("<GetYResponse/>"), envelope(""), "<Envelope/>".to_owned()] {
            assert!(matches!(answer(&odd, "GetX"), Err(SoapError::Other)), "{odd}");
        }
        for page in ["<html><body/></html>", "<!DOCTYPE html><p>Sign in<br></p>", "404 not found", ""] {
            assert!(matches!(answer(page, "GetX"), Err(SoapError::NoEnvelope)), "{page}");
        }
        for broken in ["<Envelope><Body>", "<!DOCTYPE a><Envelope/>", &"<a>".repeat(100)] {
            assert!(matches!(answer(broken, "GetX"), Err(SoapError::Xml(_))), "{broken}");
        }
    }

    #[test]
    fn refused_logins_are_known_by_their_code() {
        for code in ["ter:NotAuthorized", "NotAuthorized", "wsse:FailedAuthentication"] {
            assert!(matches!(refused(code), SoapError::NotAuthorized(words) if words == "Oh[2J"), "{code}");
        }
        assert!(matches!(refused("ter:ActionNotSupported"), SoapError::Fault(words) if words == "Oh[2J"));
        let old = "<Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>No such</faultstring></Fault>";
        let refused = answer(&envelope(old), "GetX").unwrap_err();
        assert_eq!(refused.to_string(), "it refuses: No such");
    }
}
