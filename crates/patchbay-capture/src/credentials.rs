//! Logins of sources, and addresses without them.

use secrecy::SecretString;
use std::fmt;
use url::Url;

/// A login. What prints it prints neither part.
#[derive(Clone)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// What stands for the parts of an address that may hold a login.
const HIDDEN: &str = "…";

/// An address in words and logs: without login, query and fragment, and without those parts of its path that look like settings, since many cameras take
/// their login there (`/user=admin_password=secret_channel=1.sdp`).
pub fn redacted(url: &Url) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or(HIDDEN));
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(&port.to_string());
    }
    for segment in url.path().split('/').skip(1) {
        text.push('/');
        text.push_str(if may_hold_login(segment) { HIDDEN } else { segment });
    }
    if url.query().is_some() {
        text.push('?');
        text.push_str(HIDDEN);
    }
    text
}

fn may_hold_login(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    // Escaped forms of `=`, `@` and `:` as well.
    ["=", "@", ":", "&", "%3d", "%40", "%3a", "pass", "pwd", "token"].iter().any(|mark| lower.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        redacted(&Url::parse(text).unwrap())
    }

    #[test]
    fn logins_and_queries_are_left_out() {
        assert_eq!(of("rtsp://admin:s3cret@10.0.0.5:8554/live/ch0"), "rtsp://10.0.0.5:8554/live/ch0");
        assert_eq!(of("rtsps://cam.example/a?token=s3cret#s3cret"), "rtsps://cam.example/a?…");
        assert_eq!(of("rtsp://[fd00::1]/a"), "rtsp://[fd00::1]/a");
        assert_eq!(of("rtsp://h/user=admin_password=s3cret_channel=1.sdp"), "rtsp://h/…");
        assert_eq!(of("rtsp://h/a/user%3Dadmin%40s3cret/b"), "rtsp://h/a/…/b");
        assert_eq!(of("http://h"), "http://h/");
    }

    #[test]
    fn nothing_that_prints_a_login_prints_it() {
        let credentials = Credentials { username: "admin".to_owned(), password: "s3cret".into() };
        let printed = format!("{credentials:?}");
        assert!(!printed.contains("admin") && !printed.contains("s3cret"), "{printed}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_hidden_never_shows(user in "[a-z0-9]{4,8}", password in "S3[a-z0-9]{8}") {
            for text in [
                format!("rtsp://{user}:{password}@h/a"),
                format!("rtsp://h/a?user={user}&pwd={password}"),
                format!("rtsp://h/login={password}/x"),
                format!("http://h/a#{password}"),
            ] {
                proptest::prop_assert!(!of(&text).contains(&password), "{}", of(&text));
            }
        }
    }
}
