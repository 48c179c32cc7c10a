use super::*;
use crate::sdp::parse::OFFER_LIMIT;
use crate::sdp::parse::tests::{SMALL, real};

fn with_payloads(first: &str, lines: &str) -> Media {
    let text = SMALL
        .replace("SAVPF 96", first)
        .replace("a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n", lines);
    Offer::parse(&text, OFFER_LIMIT).expect("a good offer").media.remove(0)
}

fn h264(formats: &[(u8, &str)]) -> Media {
    let numbers: Vec<String> = formats.iter().map(|(number, _)| number.to_string()).collect();
    let lines: Vec<String> = formats
        .iter()
        .map(|(number, format)| format!("a=rtpmap:{number} H264/90000\r\na=fmtp:{number} {format}\r\n"))
        .collect();
    with_payloads(&format!("SAVPF {}", numbers.join(" ")), &lines.concat())
}

fn number(media: &Media, codec: Codec, profile: Option<&str>) -> Option<u8> {
    media.choose(codec, profile).map(|payload| payload.number)
}

#[test]
fn one_profile_is_written_in_many_ways() {
    let media = h264(&[
        (96, "packetization-mode=1;profile-level-id=42001f"),
        (97, "packetization-mode=0;profile-level-id=42e01f"),
        (98, "level-asymmetry-allowed=1; Packetization-Mode=1; profile-level-id=42E01F"),
        (99, "packetization-mode=1;profile-level-id=4d001f"),
        (100, "packetization-mode=1;profile-level-id=64001f"),
        (101, "packetization-mode=1;profile-level-id=640c1f"),
    ]);
    for constrained in ["42e01f", "42c028", "4d8016", "58c01e", "424034"] {
        assert_eq!(number(&media, Codec::H264, Some(constrained)), Some(98), "{constrained}");
    }
    for (profile, expected) in
        [("42001e", 96), ("420028", 96), ("58801e", 96), ("4d401f", 99), ("640028", 100), ("640c33", 101)]
    {
        assert_eq!(number(&media, Codec::H264, Some(profile)), Some(expected), "{profile}");
    }
    assert_eq!(number(&media, Codec::H264, None), Some(96), "the offerer's first");
    assert_eq!(number(&media, Codec::H264, Some("nonsense")), Some(96));
}

#[test]
fn a_high_stream_goes_to_a_baseline_payload_type() {
    let media = h264(&[
        (96, "packetization-mode=1;profile-level-id=42001f"),
        (97, "profile-level-id=64001f"),
        (98, "packetization-mode=1;profile-level-id=42e01f"),
    ]);
    assert_eq!(number(&media, Codec::H264, Some("640028")), Some(98));
    let single =
        h264(&[(97, "profile-level-id=42e01f"), (98, "packetization-mode=0;profile-level-id=42e01f")]);
    assert_eq!(number(&single, Codec::H264, Some("42e01f")), None, "units are cut into pieces");
}

#[test]
fn profiles_of_vp9_and_av1_must_be_offered() {
    let media = with_payloads(
        "SAVPF 96 97 98 99",
        "a=rtpmap:96 VP9/90000\r\na=fmtp:96 profile-id=2\r\na=rtpmap:97 VP9/90000\r\na=rtpmap:98 AV1/90000\r\n\
         a=fmtp:98 level-idx=5;profile=0;tier=0\r\na=rtpmap:99 VP8/90000\r\n",
    );
    assert_eq!(number(&media, Codec::Vp9, None), Some(97));
    assert_eq!(number(&media, Codec::Vp9, Some("2")), Some(96));
    assert_eq!(number(&media, Codec::Vp9, Some("1")), None);
    assert_eq!(number(&media, Codec::Av1, None), Some(98));
    assert_eq!(number(&media, Codec::Av1, Some("1")), None);
    assert_eq!(number(&media, Codec::Vp8, None), Some(99));
    assert_eq!(number(&media, Codec::Opus, None), None);
}

#[test]
fn sound_has_the_clock_of_its_format() {
    let text = SMALL.replace("m=video 9 UDP/TLS/RTP/SAVPF 96", "m=audio 9 UDP/TLS/RTP/SAVPF 96 97 8");
    let text = text
        .replace("96 H264/90000", "96 opus/48000")
        .replace("a=fmtp:96 packetization-mode=1", "a=rtpmap:97 OPUS/48000/2");
    let media = Offer::parse(&text, OFFER_LIMIT).expect("a good offer").media.remove(0);
    assert_eq!(number(&media, Codec::Opus, None), Some(97), "two channels are a must (RFC 7587)");
    assert_eq!(number(&media, Codec::Pcma, None), Some(8), "known without rtpmap");
}

#[test]
fn chromium_gets_its_own_numbers() {
    let offer = real("chromium_recvonly");
    let payload = offer.media[0].choose(Codec::H264, Some("42c01f")).expect("H.264");
    assert_eq!(payload.parameter("profile-level-id"), Some("42e01f"));
    assert_eq!(payload.parameter("packetization-mode"), Some("1"));
    assert_eq!(payload.rtx, Some(payload.number + 1));
    let payload = payload.with_feedback(&["nack", "nack pli"]);
    assert_eq!(payload.feedback, ["nack", "nack pli"]);
    assert_eq!(payload.without_rtx().rtx, None);
}

#[test]
fn codecs_in_the_order_of_the_offer() {
    let watching = real("chromium_recvonly");
    let video = watching.video_codecs();
    assert_eq!(video.first(), Some(&Codec::Vp8));
    assert!([Codec::H264, Codec::Vp9, Codec::Av1].iter().all(|codec| video.contains(codec)), "{video:?}");
    assert_eq!(watching.audio_codecs(), [Codec::Opus, Codec::Pcmu, Codec::Pcma]);
    assert!(watching.published_video_codecs().is_empty() && watching.published_audio_codecs().is_empty());
    let publishing = real("chromium_maxbundle_sendonly");
    assert!(publishing.video_codecs().is_empty());
    assert!(publishing.published_video_codecs().contains(&Codec::H264));
    assert!(real("chromium_stopped").audio_codecs().is_empty(), "a refused section counts for nothing");
}

#[test]
fn directions_turn() {
    assert_eq!(Direction::SendOnly.reversed(), Direction::ReceiveOnly);
    assert_eq!(Direction::SendReceive.reversed(), Direction::SendReceive);
    assert!(Direction::ReceiveOnly.receives() && !Direction::ReceiveOnly.sends());
}
