use super::*;
use crate::sdp::parse::OFFER_LIMIT;
use crate::sdp::parse::tests::real;
use crate::sdp::{
    Credentials, Fingerprint, MID, Media, Offer, Options, PLAYOUT_DELAY, Purpose, REPAIRED_RID, RID,
};
use patchbay_media::Codec;

/// What a server would answer: everything that it can do is taken.
pub(crate) fn answer_to(offer: &Offer) -> Answer {
    let candidate = |transport, address: &str| Candidate { transport, address: address.parse().unwrap() };
    Answer {
        session: u64::MAX,
        version: 3,
        ice: Credentials { ufrag: "ours".to_owned(), password: "0123456789abcdefghijklmn".to_owned() },
        fingerprint: Fingerprint([0xAB; 32]),
        options: offer.options,
        candidates: vec![
            candidate(Transport::Udp, "203.0.113.7:8189"),
            candidate(Transport::Udp, "[2001:db8::7]:8189"),
            candidate(Transport::Tcp, "203.0.113.7:8189"),
        ],
        media: offer.media.iter().map(answer_section).collect(),
    }
}

fn answer_section(media: &Media) -> AnswerMedia {
    let mid = media.mid.clone();
    let refused = AnswerMedia::Refused { mid: mid.clone(), first_line: media.first_line.clone() };
    if media.rejected {
        return refused;
    }
    match media.purpose {
        Purpose::Other => refused,
        Purpose::DataChannels => AnswerMedia::DataChannels { mid, sctp_port: 5000, max_message_size: 65_536 },
        Purpose::Media(kind) => answer_media(media, kind).unwrap_or(refused),
    }
}

fn answer_media(media: &Media, kind: Kind) -> Option<AnswerMedia> {
    let payload =
        [Codec::H264, Codec::Vp8, Codec::Opus].iter().find_map(|codec| media.choose(*codec, None))?;
    let wanted =
        |extension: &&Extension| [MID, RID, REPAIRED_RID, PLAYOUT_DELAY].contains(&extension.uri.as_str());
    let direction = media.direction.reversed();
    let section = 1000 * media.mid.parse::<u32>().unwrap_or(9);
    let sends = direction.sends().then(|| Sends {
        stream: "front door".to_owned(),
        track: format!("{kind:?}-{}", media.mid),
        ssrc: section + u32::from(payload.number),
        rtx_ssrc: payload.rtx.map(|number| section + u32::from(number)),
    });
    Some(AnswerMedia::Media {
        mid: media.mid.clone(),
        kind,
        direction,
        payloads: vec![payload.with_feedback(&["nack", "nack pli", "ccm fir"])],
        extensions: media.extensions.iter().filter(wanted).cloned().collect(),
        sends,
        simulcast: media.simulcast.clone(),
    })
}

#[test]
fn an_answer_to_chromium_that_watches() {
    let text = answer_to(&real("chromium_recvonly")).to_sdp();
    let expected = include_str!("../../testdata/answers/chromium_recvonly.sdp");
    assert_eq!(text, expected);
}

#[test]
fn layers_are_taken_and_data_channels_too() {
    let text = answer_to(&real("chromium_simulcast")).to_sdp();
    for line in
        ["a=rid:q recv", "a=rid:f recv", "a=simulcast:recv q;h;f", "a=sctp-port:5000", "a=group:BUNDLE 0 1 2"]
    {
        assert_eq!(text.matches(&format!("{line}\r\n")).count(), 1, "{line}");
    }
    assert_eq!(text.matches("a=end-of-candidates").count(), 1, "once in a bundle");
    assert_eq!(text.matches("a=setup:passive").count(), 3);
}

#[test]
fn a_refused_section_has_port_0_and_is_outside_the_bundle() {
    let text = answer_to(&real("chromium_stopped")).to_sdp();
    assert!(text.contains("a=group:BUNDLE 1\r\n"), "{text}");
    assert!(text.contains("m=audio 0 UDP/TLS/RTP/SAVPF 111 63"), "{text}");
    let (_, taken) = text.split_once("m=video").expect("the section that is taken");
    assert!(taken.contains("a=candidate:"), "candidates stand in the first section that is taken");
}

#[test]
fn without_a_bundle_each_section_has_the_candidates() {
    let mut offer = real("aiortc_publish");
    offer.options = Options::default();
    let text = answer_to(&offer).to_sdp();
    assert_eq!(text.matches("a=end-of-candidates").count(), 3);
    for absent in ["a=group", "a=extmap-allow-mixed", "a=rtcp-rsize"] {
        assert!(!text.contains(absent), "{absent} was not offered");
    }
}

#[test]
fn candidates_prefer_udp_and_the_first() {
    let candidates = answer_to(&real("chromium_recvonly")).candidates;
    let lines: Vec<String> = candidates.iter().enumerate().map(|(place, own)| own.line(1, place)).collect();
    let priority = |line: &String| line.split(' ').nth(3).and_then(|word| word.parse::<u32>().ok()).unwrap();
    assert!(lines.is_sorted_by_key(|line| std::cmp::Reverse(priority(line))), "{lines:?}");
    assert_eq!(priority(&lines[0]), 2_130_706_431, "the formula of RFC 8445, section 5.1.2.1");
    assert!(lines[2].ends_with("typ host tcptype passive"));
}

#[test]
fn names_become_tokens() {
    assert_eq!(token("front door"), "front%20door");
    assert_eq!(token("a\r\nb%"), "a%0D%0Ab%25");
    assert_eq!(token("\u{524D}\u{95E8}"), "%E5%89%8D%E9%97%A8");
    assert_eq!(token(""), "-");
    let (one, other) = (token(&format!("{}-0", "x".repeat(100))), token(&format!("{}-1", "x".repeat(100))));
    assert_eq!(one.len(), 64);
    assert_ne!(one, other, "tracks stay apart");
}

#[test]
fn every_answer_reads_as_a_description() {
    for (name, _) in crate::sdp::parse::tests::REAL {
        let offer = real(name);
        // Turned into an offer, for want of a reader of answers: we parse what an active peer with our answer would say.
        let text = answer_to(&offer).to_sdp().replace("a=setup:passive", "a=setup:active");
        let back = Offer::parse(&text, OFFER_LIMIT).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        assert_eq!(back.media.len(), offer.media.len(), "{name}");
        assert_eq!(back.ice.ufrag, "ours");
        assert_eq!(back.fingerprint, Fingerprint([0xAB; 32]));
        assert_eq!(back.options.bundle, offer.options.bundle);
        for (ours, theirs) in back.media.iter().zip(&offer.media) {
            assert_eq!((&ours.mid, ours.purpose), (&theirs.mid, theirs.purpose), "{name}");
            assert!(ours.payloads.iter().all(|payload| {
                theirs.payloads.iter().any(|other| other.number == payload.number && other.rtx == payload.rtx)
            }));
        }
    }
}
