use super::*;
use proptest::prelude::*;

const ALL: [Encoding; 5] =
    [Encoding::Base64, Encoding::Base64Url, Encoding::Url, Encoding::Query, Encoding::Hex];

/// RFC 4648, section 10.
#[test]
fn base64_and_hexadecimal_as_specified() {
    for (bytes, base64, hex) in [
        ("", "", ""),
        ("f", "Zg==", "66"),
        ("fo", "Zm8=", "666f"),
        ("foo", "Zm9v", "666f6f"),
        ("foob", "Zm9vYg==", "666f6f62"),
        ("fooba", "Zm9vYmE=", "666f6f6261"),
        ("foobar", "Zm9vYmFy", "666f6f626172"),
    ] {
        assert_eq!(Encoding::Base64.encode(bytes.as_bytes()), base64);
        assert_eq!(Encoding::Base64Url.encode(bytes.as_bytes()), base64.trim_end_matches('='));
        assert_eq!(Encoding::Hex.encode(bytes.as_bytes()), hex);
        assert_eq!(Encoding::Base64.decode(base64).unwrap(), bytes.as_bytes());
        for text in [base64, base64.trim_end_matches('=')] {
            assert_eq!(Encoding::Base64Url.decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(Encoding::Hex.decode(&hex.to_uppercase()).unwrap(), bytes.as_bytes());
    }
    assert_eq!(Encoding::Base64.encode(&[0xfb, 0xff]), "+/8=");
    assert_eq!(Encoding::Base64Url.encode(&[0xfb, 0xff]), "-_8");
}

/// What `urllib.parse.quote(bytes, safe='')` and `quote_plus(bytes)` of Python 3.11 say.
#[test]
fn percent_encoding_as_python_writes_it() {
    let ascii: Vec<u8> = (0x20..0x80).collect();
    let cases: [(&[u8], &str, &str); 5] = [
        (b"", "", ""),
        (b"a b+c", "a%20b%2Bc", "a+b%2Bc"),
        (
            &ascii,
            "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ\
             %5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F",
            "+%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ\
             %5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F",
        ),
        ("用户 ~name_-.*".as_bytes(), "%E7%94%A8%E6%88%B7%20~name_-.%2A", "%E7%94%A8%E6%88%B7+~name_-.%2A"),
        (&[0, 10, 0x80, 0xff], "%00%0A%80%FF", "%00%0A%80%FF"),
    ];
    for (bytes, url, query) in cases {
        assert_eq!(Encoding::Url.encode(bytes), url);
        assert_eq!(Encoding::Query.encode(bytes), query);
        assert_eq!(Encoding::Url.decode(url).unwrap(), bytes);
        assert_eq!(Encoding::Query.decode(query).unwrap(), bytes);
    }
    assert_eq!(Encoding::Url.decode("a+b%2b%C3%a9é").unwrap(), "a+b+éé".as_bytes());
    assert_eq!(Encoding::Query.decode("a+b%2b").unwrap(), b"a b+");
}

/// What `urlencode(pairs)` and `parse_qsl(text, keep_blank_values=True)` of Python 3.11 say.
#[test]
fn query_strings_as_python_writes_and_reads_them() {
    let pairs = [("a", "1"), ("b c", "x&y=z"), ("", ""), ("用户", "é+ %"), ("a", "2"), ("k~*", "-._")];
    let query = "a=1&b+c=x%26y%3Dz&=&%E7%94%A8%E6%88%B7=%C3%A9%2B+%25&a=2&k~%2A=-._";
    assert_eq!(encode_query(pairs), query);
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(decode_query(query).unwrap(), owned(&pairs));
    for (query, pairs) in [
        ("", &[][..]),
        ("?", &[]),
        ("a=1&b", &[("a", "1"), ("b", "")]),
        ("&&a=&=b&=", &[("a", ""), ("", "b"), ("", "")]),
        ("a=b=c;d", &[("a", "b=c;d")]),
        ("?a+b=c%2Bd&%E7%94%A8=%20", &[("a b", "c+d"), ("用", " ")]),
        ("a=%41%4a%4A", &[("a", "AJJ")]),
    ] {
        assert_eq!(decode_query(query).unwrap(), owned(pairs), "{query}");
    }
}

#[test]
fn errors_name_the_place() {
    for (encoding, text, place) in [
        (Encoding::Base64, "Zm9v!mFy", 4),
        (Encoding::Base64, "Zm-v", 2),
        (Encoding::Base64, "Zm9vY", 5),
        (Encoding::Base64, "Zm9vYg", 6),
        (Encoding::Base64, "Zm9v\nZg==", 4),
        (Encoding::Base64, "Zg==Zg==", 2),
        (Encoding::Base64Url, "Zm+v", 2),
        (Encoding::Base64Url, "Zm9vY", 5),
        (Encoding::Url, "ab%4", 2),
        (Encoding::Url, "%41%zz", 3),
        (Encoding::Query, "a+b%", 3),
        (Encoding::Query, "%+1", 0),
        (Encoding::Hex, "0g", 1),
        (Encoding::Hex, "abc", 3),
        (Encoding::Hex, "é", 0),
    ] {
        let Err(Error::Input(problem)) = encoding.decode(text) else { panic!("{text} was decoded") };
        assert!(
            problem.contains(&format!("position {place} "))
                || problem.ends_with(&format!("position {place}"))
                || problem.contains(&format!("position {place},")),
            "{text}: {problem}"
        );
    }
    for (query, place) in [("a=1&b=%4", 6), ("?a=1&%=2", 5), ("a=%ff&b", 2), ("?%80=1", 1)] {
        let Err(Error::Input(problem)) = decode_query(query) else { panic!("{query} was decoded") };
        assert!(problem.contains(&format!("position {place} ")), "{query}: {problem}");
    }
}

/// Bits behind the last byte are ignored, as Python does.
#[test]
fn trailing_bits_are_ignored() {
    assert_eq!(Encoding::Base64.decode("Zh==").unwrap(), b"f");
    assert_eq!(Encoding::Base64Url.decode("Zh").unwrap(), b"f");
}

proptest! {
    #[test]
    fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for encoding in ALL {
            prop_assert_eq!(encoding.decode(&encoding.encode(&bytes)).unwrap(), bytes.clone());
        }
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in any::<String>()) {
        for encoding in ALL {
            if let Ok(bytes) = encoding.decode(&text) {
                prop_assert_eq!(encoding.decode(&encoding.encode(&bytes)).unwrap(), bytes);
            }
        }
        drop(decode_query(&text));
    }

    #[test]
    fn pairs_come_back(pairs in proptest::collection::vec((any::<String>(), any::<String>()), 0..8)) {
        let query = encode_query(pairs.iter().map(|(name, value)| (&**name, &**value)));
        prop_assert!(query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%+&=".contains(&byte)));
        prop_assert_eq!(decode_query(&query).unwrap(), pairs);
    }
}
