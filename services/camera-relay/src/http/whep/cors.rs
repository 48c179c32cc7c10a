//! Cross-origin requests (Fetch, section 3.2): any page may look at a camera, for it must bring a token of its own, or the camera is for guests.

use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

const ALLOWED: [(HeaderName, &str); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "accept-patch, etag, link, location, retry-after, www-authenticate",
    ),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "DELETE, OPTIONS, PATCH, POST"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match"),
    (header::ACCESS_CONTROL_MAX_AGE, "86400"),
];

/// Adds the headers to an answer, a refusal too: a page could not read why otherwise.
pub(super) async fn allow(mut response: Response) -> Response {
    let headers = ALLOWED.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    std::future::ready(response).await
}
