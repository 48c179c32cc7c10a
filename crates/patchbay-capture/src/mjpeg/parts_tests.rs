use super::*;
use proptest::prelude::*;

const MOST: usize = 10_000;

fn jpeg(number: u8) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8, number];
    jpeg.extend((0..300_u16).map(|place| u8::try_from(place % 251).unwrap()));
    jpeg.extend(END);
    jpeg
}

/// Cuts a stream that comes in pieces of a length.
fn cut(boundary: &str, stream: &[u8], piece: usize) -> Result<Vec<Bytes>, PartError> {
    let (mut parts, mut pictures) = (Parts::new(boundary, MOST), Vec::new());
    for piece in stream.chunks(piece) {
        parts.push(piece);
        while let Some(picture) = parts.next()? {
            pictures.push(picture);
        }
    }
    Ok(pictures)
}

/// Each part between what stands before and after it; one more head at the end.
fn stream(before: &str, head: &str, after: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..3 {
        stream.extend(before.bytes());
        stream.extend(head.replace("LENGTH", &jpeg(number).len().to_string()).bytes());
        stream.extend(jpeg(number));
        stream.extend(after.bytes());
    }
    stream.extend(before.bytes());
    stream
}

#[test]
fn the_boundary_is_found_in_the_content_type() {
    for (content_type, expected) in [
        ("multipart/x-mixed-replace; boundary=frame", "frame"),
        ("multipart/x-mixed-replace;boundary=\"--frame\"", "frame"),
        ("multipart/x-mixed-replace; charset=x; BOUNDARY= --my boundary ", "my boundary"),
        ("multipart/x-mixed-replace", ""),
        ("multipart/x-mixed-replace; boundary=", ""),
        ("multipart/x-mixed-replace; boundary=----", ""),
    ] {
        assert_eq!(boundary(content_type), expected, "{content_type}");
    }
}

#[test]
fn pictures_come_out_whole_however_the_camera_writes_and_the_network_cuts() {
    let length = "Content-Type: image/jpeg\r\nContent-Length: LENGTH\r\n\r\n";
    let none = "Content-Type: image/jpeg\r\n\r\n";
    for (told, before, head, after) in [
        ("frame", "--frame\r\n", length, "\r\n"),
        ("frame", "--frame\r\n", none, "\r\n"),
        ("frame", "\r\n--frame\r\n", none, ""),
        ("frame", "--frame\r\n", none, ""),
        ("frame", "frame\r\n", length, "\r\n"),
        ("frame", "\r\nframe\r\n", none, ""),
        ("frame", "----frame\r\n", length, "\r\n\r\n"),
        ("frame", "--frame\n", "content-length:LENGTH\n\n", "\n"),
        ("", "--whatever\r\n", length, "\r\n"),
        ("", "\r\n--whatever\r\n", none, ""),
        ("frame", "--frame\r\n", "\r\n", "\r\n"),
    ] {
        let stream = stream(before, head, after);
        for piece in [1, 2, 3, 7, 64, 1_000, 100_000] {
            let pictures = cut(told, &stream, piece).unwrap();
            assert_eq!(pictures.len(), 3, "{before:?} {head:?} {after:?} in pieces of {piece}");
            for (number, picture) in (0..).zip(&pictures) {
                assert_eq!(
                    picture.trim_ascii_end(),
                    jpeg(number),
                    "{before:?} {head:?} in pieces of {piece}"
                );
            }
        }
    }
}

#[test]
fn parts_that_are_no_pictures_are_passed_over() {
    let mut bytes = b"--frame\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nping\r\n".to_vec();
    bytes.extend(stream("--frame\r\n", "Content-Length: LENGTH\r\n\r\n", "\r\n"));
    assert_eq!(cut("frame", &bytes, 11).unwrap().len(), 3);
}

#[test]
fn what_does_not_end_is_an_error_before_it_fills_the_memory() {
    let endless = |start: &[u8], filling: &[u8]| {
        let mut parts = Parts::new("frame", MOST);
        parts.push(start);
        for _ in 0..1_000 {
            parts.push(filling);
            parts.next().map(drop)?;
            assert!(parts.buffer.len() < 4 * MOST);
        }
        Ok(())
    };
    let filling = [b'a'; 512];
    assert_eq!(endless(b"", &filling), Err(PartError::NoBoundary));
    assert_eq!(endless(b"--frame", &filling), Err(PartError::NoBoundary));
    assert_eq!(endless(b"--frame\r\n", &filling), Err(PartError::EndlessHead));
    assert_eq!(endless(b"--frame\r\n\r\n", &filling), Err(PartError::TooLong(MOST)));
    assert_eq!(
        endless(b"--frame\r\nContent-Length: 99999999\r\n\r\n", &filling),
        Err(PartError::TooLong(MOST))
    );
    assert_eq!(cut("", &[b'a'; 12_000], 100), Err(PartError::NoBoundary));
}

proptest! {
    #[test]
    fn noise_never_harms(pieces in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        Just(b"--frame\r\n".to_vec()),
        Just(b"Content-Length: 20\r\n\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(vec![0xFF, 0xD8]),
        Just(vec![0xFF, 0xD9]),
    ], 0..60)) {
        let mut parts = Parts::new("frame", MOST);
        for piece in &pieces {
            parts.push(piece);
            loop {
                match parts.next() {
                    Ok(Some(picture)) => prop_assert!(picture.len() <= MOST + 1_000),
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}
