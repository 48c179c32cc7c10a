//! The pages, embedded at build time, and the headers that keep them safe.
//!
//! Called by the server for every request that no service gets.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
};
use hyper::body::Body as _;

/// A file of the console.
struct Asset {
    path: &'static str,
    /// Changes with the content; weak, because it is the same for both forms.
    tag: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Files below it have their content's hash in their name.
const HASHED: &str = "/assets/";

/// Nothing from elsewhere but pictures that people chose, nothing inline, no frames. `'self'` covers the WebSocket and
/// the calls, because all services are behind this origin. A media source that a page makes itself has a `blob:` address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; media-src blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SAFETY: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Answers with a file, or with the application's page for an address that it routes itself.
pub(crate) fn respond(method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    let mut response = match (method, find(path)) {
        (&Method::GET | &Method::HEAD, Some(asset)) => file(asset, headers),
        (&Method::GET | &Method::HEAD, None) => text(StatusCode::NOT_FOUND, "there is no such file\n"),
        _ => not_allowed(),
    };
    if *method == Method::HEAD {
        let body = std::mem::take(response.body_mut());
        let length = body.size_hint().exact().unwrap_or_default();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    let safety = SAFETY.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(safety);
    response
}

fn find(path: &str) -> Option<&'static Asset> {
    let named = ASSETS.iter().find(|asset| asset.path == path);
    named.or_else(|| is_page(path).then(|| ASSETS.iter().find(|asset| asset.path == "/index.html")).flatten())
}

/// Whether an address belongs to the application rather than to a file that is missing.
fn is_page(path: &str) -> bool {
    let Some((folder, _)) = path.get(1..).and_then(|rest| rest.split_once('/')) else {
        return !path.contains('.');
    };
    let is_of_folder =
        |asset: &Asset| asset.path.strip_prefix('/').is_some_and(|p| p.starts_with(&format!("{folder}/")));
    !ASSETS.iter().any(is_of_folder) && folder != HASHED.trim_matches('/')
}

fn file(asset: &Asset, headers: &HeaderMap) -> Response<Body> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == asset.tag) {
        return with_caching(asset, text(StatusCode::NOT_MODIFIED, ""));
    }
    let (bytes, encoding) = match asset.gzip.filter(|_| accepts_gzip(headers)) {
        Some(gzip) => (gzip, Some("gzip")),
        None => (asset.plain, None),
    };
    let mut response = Response::new(Body::from(bytes));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(asset.path)));
    if let Some(encoding) = encoding {
        fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    with_caching(asset, response)
}

fn with_caching(asset: &Asset, mut response: Response<Body>) -> Response<Body> {
    let hashed = asset.path.starts_with(HASHED);
    let caching = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    fields.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn not_allowed() -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn text(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Response<Body> {
        respond(&Method::GET, path, &HeaderMap::new())
    }

    fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[test]
    fn every_answer_is_guarded() {
        let post = respond(&Method::POST, "/", &HeaderMap::new());
        for response in [get("/"), get("/rooms/lobby"), get("/missing.png"), post] {
            let policy = header(&response, "content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        }
    }

    #[test]
    fn pages_are_never_cached_and_hashed_files_for_good() {
        for page in ["/", "/index.html", "/settings", "/rooms/lobby", "/rooms/release-1.2"] {
            let response = get(page);
            assert_eq!(response.status(), StatusCode::OK, "{page}");
            assert_eq!(header(&response, "cache-control"), "no-cache", "{page}");
            assert!(header(&response, "content-type").starts_with("text/html"), "{page}");
        }
        for hashed in ASSETS.iter().filter(|asset| asset.path.starts_with(HASHED)) {
            assert!(header(&get(hashed.path), "cache-control").contains("immutable"), "{}", hashed.path);
        }
    }

    #[test]
    fn a_missing_file_is_not_the_page() {
        for path in ["/assets/gone.js", "/favicon.ico", "/robots.txt"] {
            assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let head = respond(&Method::HEAD, "/", &HeaderMap::new());
        assert_ne!(header(&head, "content-length"), "0");
        assert_eq!(head.body().size_hint().exact(), Some(0));
        assert_eq!(respond(&Method::DELETE, "/", &HeaderMap::new()).status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let tag = get("/").headers()[header::ETAG].clone();
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(respond(&Method::GET, "/", &headers).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(accepts("gzip") && accepts("br, gzip;q=0.8"));
        assert!(!accepts("br") && !accepts("gzip;q=0") && !accepts("x-gzip"));
    }

    #[test]
    fn the_page_without_a_console_says_how_to_build_it() {
        assert!(include_str!("../not-built.html").contains("scripts/build-console"));
    }
}
