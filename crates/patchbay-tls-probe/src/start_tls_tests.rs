use super::*;

/// Says the server's lines, each after what was sent before it, and returns what was sent and how it ended.
fn talk(protocol: StartTls, lines: &[&str]) -> (Vec<String>, Result<Step, Refused>) {
    let mut dialogue = Dialogue::new(protocol);
    let mut sent = Vec::new();
    let mut last = Ok(dialogue.start());
    for line in lines {
        // Cut after each byte, so that no line depends on coming whole.
        for byte in line.as_bytes() {
            last = dialogue.feed(&[*byte]);
            match &last {
                Ok(Step::Send(bytes)) => sent.push(String::from_utf8(bytes.clone()).unwrap()),
                Ok(_) => (),
                Err(_) => return (sent, last),
            }
        }
    }
    (sent, last)
}

fn refusal(protocol: StartTls, lines: &[&str]) -> String {
    talk(protocol, lines).1.unwrap_err().to_string()
}

#[test]
fn tls_from_the_start_needs_no_words() {
    assert_eq!(Dialogue::new(StartTls::None).start(), Step::Ready);
}

#[test]
fn ftp_changes_after_its_greeting() {
    let (sent, end) =
        talk(StartTls::Ftp, &["220-Welcome\r\n and more\r\nto this place\r\n220 go\r\n", "234 Proceed\r\n"]);
    assert_eq!((sent, end), (vec!["AUTH TLS\r\n".to_owned()], Ok(Step::Ready)));
    assert!(
        refusal(StartTls::Ftp, &["220 hi\r\n", "530 Please login\r\n"])
            .contains("`530 Please login` to AUTH TLS")
    );
    assert!(refusal(StartTls::Ftp, &["421 too many\r\n"]).contains("421 too many"));
    assert!(refusal(StartTls::Ftp, &["SSH-2.0-OpenSSH\r\n"]).contains("SSH-2.0-OpenSSH"));
}

#[test]
fn smtp_changes_when_it_offers_to() {
    let (sent, end) = talk(
        StartTls::Smtp,
        &[
            "220-mail\r\n220 ready\r\n",
            "250-mail\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n",
            "220 2.0.0 go\r\n",
        ],
    );
    assert_eq!(sent, ["EHLO patchbay.invalid\r\n", "STARTTLS\r\n"]);
    assert_eq!(end, Ok(Step::Ready));
    assert!(
        refusal(StartTls::Smtp, &["220 m\r\n", "250-m\r\n250 STARTTLSX\r\n"])
            .contains("does not offer STARTTLS")
    );
    assert!(refusal(StartTls::Smtp, &["220 m\r\n", "550 go away\r\n"]).contains("`550 go away` to EHLO"));
    assert!(
        refusal(StartTls::Smtp, &["220 m\r\n", "250 STARTTLS\r\n", "454 not now\r\n"])
            .contains("454 not now")
    );
    assert!(refusal(StartTls::Smtp, &["554 no\r\n"]).contains("554 no"));
}

#[test]
fn imap_changes_when_it_offers_to() {
    let (sent, end) = talk(
        StartTls::Imap,
        &[
            "* OK [CAPABILITY IMAP4rev1] ready\r\n",
            "* CAPABILITY IMAP4rev1 StartTLS LOGINDISABLED\r\np1 OK done\r\n",
            "p2 OK begin\r\n",
        ],
    );
    assert_eq!(sent, ["p1 CAPABILITY\r\n", "p2 STARTTLS\r\n"]);
    assert_eq!(end, Ok(Step::Ready));
    assert!(refusal(StartTls::Imap, &["* PREAUTH welcome\r\n"]).contains("PREAUTH"));
    assert!(refusal(StartTls::Imap, &["* BYE full\r\n"]).contains("BYE full"));
    assert!(
        refusal(StartTls::Imap, &["* OK\r\n", "* CAPABILITY IMAP4rev1\r\np1 OK\r\n"])
            .contains("does not offer")
    );
    let no = ["* OK\r\n", "* CAPABILITY STARTTLS\r\np1 OK\r\n", "p2 BAD no\r\n"];
    assert!(refusal(StartTls::Imap, &no).contains("`p2 BAD no` to STARTTLS"));
}

#[test]
fn words_after_the_yes_are_refused() {
    let mut dialogue = Dialogue::new(StartTls::Ftp);
    assert_eq!(dialogue.feed(b"220 hi\r\n"), Ok(Step::Send(b"AUTH TLS\r\n".to_vec())));
    assert!(dialogue.feed(b"234 go\r\n230 you are in\r\n").is_err());
}

#[test]
fn what_is_too_long_is_refused() {
    assert!(Dialogue::new(StartTls::Smtp).feed(&[b'x'; 10_000]).is_err());
    let mut dialogue = Dialogue::new(StartTls::Ftp);
    let endless = b"220-more\r\n".repeat(1000);
    assert!((0..20).any(|_| dialogue.feed(&endless).is_err()));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(parts in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..60), 0..6), kind in 0usize..4) {
        let protocols = [StartTls::None, StartTls::Ftp, StartTls::Smtp, StartTls::Imap];
        let mut dialogue = Dialogue::new(*protocols.get(kind).unwrap());
        for part in &parts {
            if dialogue.feed(part).is_err() {
                break;
            }
        }
    }
}
