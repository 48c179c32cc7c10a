//! The login of a question: a user name token with a digest (WS-Security, Username Token Profile 1.1, section 3). The password does not travel; whoever reads the
//! digest may only try passwords against it.

use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_capture::Credentials;
use patchbay_crypto::digest::Algorithm;
use quick_xml::escape::escape;
use secrecy::ExposeSecret;

/// A header that proves that the user knows the password; `created` is a time in the clock of the device, and `nonce` is used once.
pub(super) fn header(credentials: &Credentials, created: &str, nonce: &[u8]) -> String {
    format!(
        concat!(
            r#"<w:Security s:mustUnderstand="1" xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd""#,
            r#" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><w:UsernameToken>"#,
            r#"<w:Username>{username}</w:Username>"#,
            r#"<w:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest">{digest}</w:Password>"#,
            r#"<w:Nonce EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary">{nonce}</w:Nonce>"#,
            r#"<u:Created>{created}</u:Created></w:UsernameToken></w:Security>"#,
        ),
        username = escape(credentials.username.as_str()),
        digest = digest(credentials.password.expose_secret(), created, nonce),
        nonce = STANDARD.encode(nonce),
        created = created,
    )
}

/// SHA-1 is broken, and what the profile asks for: no device knows another one.
fn digest(password: &str, created: &str, nonce: &[u8]) -> String {
    let whole = zeroize::Zeroizing::new([nonce, created.as_bytes(), password.as_bytes()].concat());
    STANDARD.encode(Algorithm::Sha1.digest(&whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the ONVIF Application Programmer's Guide.
    #[test]
    fn the_digest_is_that_of_the_guide() {
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        assert_eq!(digest("userpassword", "2010-09-16T07:50:45Z", &nonce), "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn names_do_not_break_the_header_and_passwords_are_not_in_it() {
        let credentials = Credentials { username: "<a&b>".to_owned(), password: "s3cret".into() };
        let header = header(&credentials, "2010-09-16T07:50:45Z", &[1; 16]);
        assert!(header.contains("<w:Username>&lt;a&amp;b&gt;</w:Username>") && !header.contains("s3cret"));
    }
}
