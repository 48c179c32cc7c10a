//! Doors before a small service that gives messages back as they came, and fails when it is asked to.

use super::*;
use http::Extensions;
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{ServiceExt, service_fn};

const PROTO: &str = r#"
    syntax = "proto3";
    package test.v1;
    import "google/protobuf/duration.proto";
    import "google/protobuf/timestamp.proto";
    service Echo {
      rpc Say(Thing) returns (Thing);
      rpc Fail(Thing) returns (Thing);
      rpc Hang(Thing) returns (Thing);
      rpc Watch(Thing) returns (stream Thing);
    }
    enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; COLOUR_DARK_BLUE = 2; }
    message Inner { string name = 1; uint32 size = 2; optional uint32 deep_number = 3; }
    message Thing {
      string name = 1;
      uint64 big_number = 2;
      bytes data = 3;
      Colour colour = 4;
      bool flag = 5;
      repeated string words = 6;
      Inner inner = 7;
      google.protobuf.Duration ttl = 8;
      google.protobuf.Timestamp made = 9;
      optional uint32 maybe = 10;
      oneof outcome { string ok = 11; string error = 12; }
      repeated Inner items = 13;
    }
"#;

static DESCRIPTORS: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.proto"), PROTO).unwrap();
    protox::compile(["test.proto"], [folder.path()]).unwrap().encode_to_vec()
});

/// What a handler saw beside the message.
#[derive(Clone, Debug)]
struct Mark(&'static str);

async fn handle(
    request: http::Request<tonic::body::Body>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    match path.as_str() {
        "/test.v1.Echo/Say" => {}
        "/test.v1.Echo/Hang" => std::future::pending().await,
        _ => {
            let mark = parts.extensions.get::<Mark>().map_or("none", |mark| mark.0);
            let token = parts.headers.get("authorization").map_or("none", |value| value.to_str().unwrap());
            let mut details =
                ErrorDetails::with_error_info("NO_LUCK", "test", std::collections::HashMap::new());
            details.add_bad_request_violation("name", "is unlucky");
            details.set_retry_info(Some(Duration::from_secs(7)));
            let message = format!("{mark} {token}");
            return Ok(
                Status::with_error_details(tonic::Code::ResourceExhausted, message, details).into_http()
            );
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let bytes = body.collect().await.unwrap().to_bytes();
    let frames =
        [Ok::<_, Status>(http_body_util::Either::Left(bytes)), Ok(http_body_util::Either::Right(trailers))];
    let frames = frames.into_iter().map(|frame| {
        frame.map(|either| match either {
            http_body_util::Either::Left(bytes) => hyper::body::Frame::data(bytes),
            http_body_util::Either::Right(trailers) => hyper::body::Frame::trailers(trailers),
        })
    });
    let body = tonic::body::Body::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)));
    Ok(http::Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

fn router() -> Router {
    let limits = Limits { body: 1024, arrival: Duration::from_secs(5), call: Duration::from_secs(5) };
    Transcoder::new(&DESCRIPTORS, crate::calls(service_fn(handle)), limits)
        .unwrap()
        .door("POST", "/things", "/test.v1.Echo/Say")
        .unwrap()
        .door("GET", "/things/{name}", "/test.v1.Echo/Say")
        .unwrap()
        .door("PUT", "/inner/{inner.name}/{colour}", "/test.v1.Echo/Say")
        .unwrap()
        .door("POST", "/things/{name}/fail", "/test.v1.Echo/Fail")
        .unwrap()
        .door("POST", "/hang", "/test.v1.Echo/Hang")
        .unwrap()
        .into_router()
}

async fn send(request: http::Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

fn request(verb: &str, path: &str, body: impl Into<Body>) -> http::Request<Body> {
    let builder = http::Request::builder().method(verb).uri(path).header("content-type", "application/json");
    builder.body(body.into()).unwrap()
}

async fn ask(verb: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, _, answer) = send(request(verb, path, body)).await;
    (status, answer)
}

#[tokio::test]
async fn every_kind_of_field_goes_both_ways() {
    let sent = json!({
        "name": "Ada", "big_number": "18446744073709551615", "data": "aGk=", "colour": "COLOUR_DARK_BLUE",
        "flag": true, "words": ["a", "b"], "inner": {"name": "x", "size": 3}, "ttl": "90s",
        "made": "2026-01-02T03:04:05Z", "maybe": 0, "ok": "yes", "items": [{"name": "i", "size": 1}]
    });
    assert_eq!(ask("POST", "/things", &sent).await, (StatusCode::OK, sent));
}

#[tokio::test]
async fn defaults_are_shown_and_absent_messages_are_not() {
    let (status, answer) = ask("POST", "/things", &Value::Null).await;
    let expected = json!({
        "name": "", "big_number": "0", "data": "", "colour": "COLOUR_UNSPECIFIED", "flag": false,
        "words": [], "items": []
    });
    assert_eq!((status, answer), (StatusCode::OK, expected));
}

#[tokio::test]
async fn both_spellings_are_read() {
    let (_, answer) = ask("POST", "/things", &json!({"bigNumber": 5})).await;
    assert_eq!(answer["big_number"], "5");
}

#[tokio::test]
async fn path_and_query_fill_fields() {
    let path = "/things/a%20b%2Fc?big_number=7&flag=true&words=x&words=y+z&colour=red&inner.size=4&ttl=3s&data=aGk%3D";
    let (status, answer) = ask("GET", path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["name"], &answer["big_number"]), (&json!("a b/c"), &json!("7")));
    assert_eq!((&answer["words"], &answer["colour"]), (&json!(["x", "y z"]), &json!("COLOUR_RED")));
    assert_eq!(
        (&answer["inner"]["size"], &answer["ttl"], &answer["data"]),
        (&json!(4), &json!("3s"), &json!("aGk="))
    );
    let (_, answer) = ask("PUT", "/inner/bob/dark-blue", &json!({"inner": {"size": 2}})).await;
    assert_eq!(
        (&answer["inner"], &answer["colour"]),
        (&json!({"name": "bob", "size": 2}), &json!("COLOUR_DARK_BLUE"))
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_field() {
    let check = async |verb: &str, path: &str, body: Value, field: &str| {
        let (status, answer) = ask(verb, path, &body).await;
        assert_eq!(
            (status, &answer["error"]["reason"]),
            (StatusCode::BAD_REQUEST, &json!("BAD_REQUEST")),
            "{answer}"
        );
        assert!(answer["error"]["message"].as_str().unwrap().contains(field), "{answer}");
    };
    check("POST", "/things", json!({"nmae": "x"}), "nmae").await;
    check("POST", "/things", json!({"big_number": -1}), "body").await;
    check("POST", "/things", json!({"colour": "COLOUR_PINK"}), "PINK").await;
    check("POST", "/things", json!({"data": "%%%"}), "body").await;
    check("POST", "/things", json!([1]), "object").await;
    check("GET", "/things/x?nmae=1", Value::Null, "nmae").await;
    check("GET", "/things/x?flag=maybe", Value::Null, "true or false").await;
    check("GET", "/things/x?colour=pink", Value::Null, "COLOUR_RED").await;
    check("GET", "/things/x?name=y", Value::Null, "twice").await;
    check("GET", "/things/x?name.first=y", Value::Null, "name.first").await;
    check("PUT", "/inner/bob/red", json!({"inner": {"name": "eve"}}), "inner.name").await;
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused() {
    for body in [
        r#"{"name": "a", "name": "a"}"#,
        r#"{"inner": {"size": 1, "size": 2}}"#,
        r#"{"big_number": 1, "bigNumber": 2}"#,
        r#"{"items": [{}, {"deepNumber": 1, "deep_number": 1}]}"#,
    ] {
        let (status, _, answer) = send(request("POST", "/things", body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("given twice"), "{body}: {answer}");
    }
}

#[tokio::test]
async fn broken_json_is_refused_without_showing_it() {
    let (status, _, answer) = send(request("POST", "/things", r#"{"name": "hunter2", oops"#)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!answer.to_string().contains("hunter2"), "{answer}");
}

#[tokio::test]
async fn errors_are_those_of_the_call() {
    let mut sent = request("POST", "/things/x/fail", "");
    sent.headers_mut().insert("authorization", HeaderValue::from_static("Bearer abc"));
    let mut extensions = Extensions::new();
    extensions.insert(Mark("marked"));
    sent.extensions_mut().extend(extensions);
    let (status, headers, answer) = send(sent).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "7");
    let expected = json!({"error": {
        "reason": "NO_LUCK", "message": "marked Bearer abc",
        "violations": [{"field": "name", "message": "is unlucky"}]
    }});
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn wrong_paths_methods_types_and_sizes_are_told_in_json() {
    let (status, _, answer) = send(request("GET", "/nothing", "")).await;
    assert_eq!((status, &answer["error"]["reason"]), (StatusCode::NOT_FOUND, &json!("NO_SUCH_PATH")));
    let (status, headers, answer) = send(request("DELETE", "/things", "")).await;
    assert_eq!(
        (status, &headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST"))
    );
    assert_eq!(answer["error"]["reason"], "METHOD_NOT_ALLOWED");
    let mut plain = request("POST", "/things", "{}");
    plain.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(send(plain).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _, answer) =
        send(request("POST", "/things", format!("{{\"name\": \"{}\"}}", "x".repeat(2000)))).await;
    assert_eq!((status, &answer["error"]["reason"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("TOO_LARGE")));
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_given_up() {
    let (status, _, answer) = send(request("POST", "/hang", "")).await;
    assert_eq!(
        (status, &answer["error"]["reason"]),
        (StatusCode::GATEWAY_TIMEOUT, &json!("DEADLINE_EXCEEDED"))
    );
    let never = http_body_util::StreamBody::new(tokio_stream::pending::<
        Result<hyper::body::Frame<Bytes>, Infallible>,
    >());
    assert_eq!(send(request("POST", "/things", Body::new(never))).await.0, StatusCode::REQUEST_TIMEOUT);
}

#[test]
fn a_table_that_cannot_be_is_refused() {
    let limits = Limits { body: 1, arrival: Duration::ZERO, call: Duration::ZERO };
    let transcoder = || Transcoder::new(&DESCRIPTORS, crate::calls(service_fn(handle)), limits).unwrap();
    let streams = transcoder().door("GET", "/watch", "/test.v1.Echo/Watch");
    assert!(matches!(streams, Err(DoorError::Streams(_))));
    let unknown = transcoder().door("GET", "/x", "/test.v1.Echo/Nothing");
    assert!(matches!(unknown, Err(DoorError::NoSuchMethod(_))));
    let twice =
        transcoder().door("GET", "/x", "/test.v1.Echo/Say").unwrap().door("GET", "/x", "/test.v1.Echo/Fail");
    assert!(matches!(twice, Err(DoorError::Twice(..))));
    let same = transcoder().door("GET", "/x/{name}", "/test.v1.Echo/Say").unwrap().door(
        "PUT",
        "/x/{inner.name}",
        "/test.v1.Echo/Say",
    );
    assert!(matches!(same, Err(DoorError::SamePlace(..))));
}

proptest::proptest! {
    #[test]
    fn no_body_or_query_brings_it_down(body in "\\PC*", field in "[a-z._]{0,12}", text in "\\PC{0,20}") {
        let pool = DescriptorPool::decode(DESCRIPTORS.as_slice()).unwrap();
        let descriptor = pool.get_message_by_name("test.v1.Thing").unwrap();
        if let Ok(mut builder) = Builder::new(descriptor, body.as_bytes()) {
            drop(builder.set(&field, &text));
            drop(builder.finish());
        }
    }
}
