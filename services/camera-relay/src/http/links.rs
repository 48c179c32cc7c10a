//! `Link` headers with servers that help viewers to reach us (RFC 9725, section 4.6).

use crate::config::IceServer;
use http::HeaderValue;
use std::{fmt::Write as _, io};

/// One header for each address of each server.
pub(super) fn of(servers: &[IceServer]) -> io::Result<Vec<HeaderValue>> {
    let mut links = Vec::new();
    for server in servers {
        let credential = match &server.credential_file {
            Some(path) => Some(std::fs::read_to_string(path)?),
            None => None,
        };
        for url in &server.urls {
            let link = link(url, server.username.as_deref(), credential.as_deref().map(str::trim));
            let mut value = HeaderValue::try_from(link).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, "a credential that no header can carry")
            })?;
            value.set_sensitive(credential.is_some());
            links.push(value);
        }
    }
    Ok(links)
}

fn link(url: &str, username: Option<&str>, credential: Option<&str>) -> String {
    let mut link = format!("<{url}>; rel=\"ice-server\"");
    if let (Some(username), Some(credential)) = (username, credential) {
        write!(
            link,
            "; username={}; credential={}; credential-type=\"password\"",
            quoted(username),
            quoted(credential)
        )
        .expect("a string takes everything");
    }
    link
}

/// RFC 9110, section 5.6.4.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_link_and_turn_its_credential() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("turn");
        std::fs::write(&file, "pass\"word\n").unwrap();
        let stun = IceServer { urls: vec!["stun:a".to_owned(), "stun:b".to_owned()], ..IceServer::default() };
        let turn = IceServer {
            urls: vec!["turn:c?transport=tcp".to_owned()],
            username: Some("me".to_owned()),
            credential_file: Some(file),
        };
        let links = of(&[stun, turn.clone()]).unwrap();
        let texts: Vec<_> = links.iter().map(|link| link.to_str().unwrap()).collect();
        assert_eq!(
            texts,
            [
                r#"<stun:a>; rel="ice-server""#,
                r#"<stun:b>; rel="ice-server""#,
                r#"<turn:c?transport=tcp>; rel="ice-server"; username="me"; credential="pass\"word"; credential-type="password""#,
            ]
        );
        assert!(links[2].is_sensitive() && !links[0].is_sensitive());
        let lost = IceServer { credential_file: Some(folder.path().join("absent")), ..turn };
        assert!(of(&[lost]).is_err());
    }
}
