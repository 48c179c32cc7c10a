use super::*;
use proptest::prelude::*;

fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Item>, MessageError> {
    reader.buffer().extend_from_slice(bytes);
    let mut items = Vec::new();
    while let Some(item) = reader.next()? {
        items.push(item);
    }
    Ok(items)
}

fn reader() -> Reader {
    let mut reader = Reader::new(1000);
    reader.expect_channels(2);
    reader
}

fn frame(channel: u8, data: &'static [u8]) -> Item {
    Item::Frame(channel, Bytes::from_static(data))
}

const MIXED: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\nv=0\n$\x00\x00\x05\x80abcd\r\nOPTIONS * RTSP/1.0\nCSeq: 2\n\n$\x01\x00\x00";

fn mixed() -> Vec<Item> {
    let response = Head {
        start: "RTSP/1.0 200 OK".to_owned(),
        headers: vec![("CSeq".to_owned(), "1".to_owned()), ("Content-Length".to_owned(), "4".to_owned())],
    };
    let request =
        Head { start: "OPTIONS * RTSP/1.0".to_owned(), headers: vec![("CSeq".to_owned(), "2".to_owned())] };
    vec![
        Item::Message(response, Bytes::from_static(b"v=0\n")),
        frame(0, b"\x80abcd"),
        Item::Message(request, Bytes::new()),
        frame(1, b""),
    ]
}

#[test]
fn messages_and_packets_are_read_at_every_split() {
    for at in 0..=MIXED.len() {
        let mut reader = reader();
        let (front, back) = MIXED.split_at(at);
        let mut items = read(&mut reader, front).unwrap();
        items.extend(read(&mut reader, back).unwrap());
        assert_eq!(items, mixed(), "split at {at}");
        assert_eq!(reader.take_garbage(), 0);
    }
    let mut reader = reader();
    let items: Vec<_> = MIXED.iter().flat_map(|byte| read(&mut reader, &[*byte]).unwrap()).collect();
    assert_eq!(items, mixed());
}

#[test]
fn heads_are_read_and_written() {
    let mut items = read(&mut reader(), MIXED).unwrap().into_iter();
    let Some(Item::Message(mut head, body)) = items.next() else { panic!() };
    assert_eq!((head.status(), head.get("cseq")), (Some(200), Some("1")));
    head.set("CSEQ", "9");
    assert_eq!(read(&mut reader(), &head.to_bytes(&body)).unwrap(), [Item::Message(head, body)]);
    let Some(Item::Message(head, _)) = items.nth(1) else { panic!() };
    assert_eq!((head.status(), head.request()), (None, Some(("OPTIONS", "*"))));
}

#[test]
fn garbage_between_packets_is_stepped_over() {
    let mut reader = reader();
    let garbage = b"\xff\x00garbage $\x09\x00\x05 Rubbish\r\n $\x00\x00\x05\x12abcd";
    let mut bytes = garbage.to_vec();
    bytes.extend_from_slice(b"$\x01\x00\x05\x80wxyz$\x00\x00\x04\x80abc");
    assert_eq!(read(&mut reader, &bytes).unwrap(), [frame(1, b"\x80wxyz"), frame(0, b"\x80abc")]);
    assert_eq!(reader.take_garbage(), 1);
}

/// Whatever garbage is made of, a camera that sends it must not keep a thread of the runtime busy.
#[test]
fn garbage_costs_little_time() {
    for piece in [&b"R"[..], b"RTSP/", b"$", b"x$\x00\x00\x04\x80abc"] {
        let (mut reader, bytes) = (reader(), [b"\xff", &*piece.repeat(MAX_GARBAGE / piece.len())].concat());
        let (started, mut items) = (std::time::Instant::now(), 0);
        for part in bytes.chunks(READ) {
            reader.buffer().extend_from_slice(part);
            while let Ok(Some(_)) = reader.next() {
                items += 1;
            }
        }
        let took = started.elapsed();
        println!("{} bytes of {piece:?}: {items} items in {took:?}", bytes.len());
        assert!(took < std::time::Duration::from_millis(600), "{piece:?} took {took:?}");
    }
}

#[test]
fn everything_has_a_bound() {
    let headers = |count| format!("RTSP/1.0 200 OK\r\n{}", "X-Header: 1\r\n".repeat(count));
    assert_eq!(read(&mut reader(), headers(10_000).as_bytes()), Err(MessageError::Head), "without an end");
    let many = format!("{}\r\n", headers(MAX_HEADERS + 1));
    assert_eq!(read(&mut reader(), many.as_bytes()), Err(MessageError::Head));
    let line = format!("RTSP/1.0 {}", "a".repeat(MAX_LINE));
    assert_eq!(read(&mut reader(), line.as_bytes()), Err(MessageError::Head));
    let body = b"RTSP/1.0 200 OK\r\nContent-Length: 1001\r\n\r\n";
    assert_eq!(read(&mut reader(), body), Err(MessageError::Body(1000)));
    let body = b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n";
    assert_eq!(read(&mut reader(), body), Err(MessageError::Length));
    assert_eq!(read(&mut reader(), &vec![0xff; MAX_GARBAGE + 1]), Err(MessageError::Garbage));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..400), at in 0_usize..400) {
        let (front, back) = data.split_at(at.min(data.len()));
        let mut reader = reader();
        if read(&mut reader, front).is_ok() {
            std::hint::black_box(read(&mut reader, back).is_ok());
        }
    }

    #[test]
    fn damage_is_read_or_refused(at in 0..MIXED.len(), byte in any::<u8>()) {
        let mut damaged = MIXED.to_vec();
        damaged[at] = byte;
        let mut reader = reader();
        std::hint::black_box(read(&mut reader, &damaged).is_ok());
        prop_assert!(reader.buffer.len() <= damaged.len());
    }
}
