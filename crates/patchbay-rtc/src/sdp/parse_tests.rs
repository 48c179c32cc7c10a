use super::*;
use crate::sdp::{MID, Media, PLAYOUT_DELAY, TRANSPORT_CC};
use patchbay_media::{Codec, Kind};

/// Offers of real peers, as they made them.
pub(crate) const REAL: [(&str, &str); 13] = [
    ("chromium_recvonly", include_str!("../../testdata/offers/chromium_recvonly.sdp")),
    ("chromium_datachannel", include_str!("../../testdata/offers/chromium_datachannel.sdp")),
    ("chromium_simulcast", include_str!("../../testdata/offers/chromium_simulcast.sdp")),
    ("chromium_stopped", include_str!("../../testdata/offers/chromium_stopped.sdp")),
    ("chromium_maxbundle_sendonly", include_str!("../../testdata/offers/chromium_maxbundle_sendonly.sdp")),
    ("firefox_recvonly", include_str!("../../testdata/offers/firefox_recvonly.sdp")),
    ("firefox_datachannel", include_str!("../../testdata/offers/firefox_datachannel.sdp")),
    ("firefox_simulcast", include_str!("../../testdata/offers/firefox_simulcast.sdp")),
    ("firefox_stopped", include_str!("../../testdata/offers/firefox_stopped.sdp")),
    ("firefox_maxbundle_sendonly", include_str!("../../testdata/offers/firefox_maxbundle_sendonly.sdp")),
    ("aiortc_recvonly", include_str!("../../testdata/offers/aiortc_recvonly.sdp")),
    ("aiortc_publish", include_str!("../../testdata/offers/aiortc_publish.sdp")),
    ("aiortc_max_compat", include_str!("../../testdata/offers/aiortc_max_compat.sdp")),
];

/// A small offer, written by hand, for what the real ones do not show.
pub(crate) const SMALL: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:active\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n";

pub(crate) fn real(name: &str) -> Offer {
    let (_, text) = REAL.iter().find(|(known, _)| *known == name).expect("an offer of that name");
    Offer::parse(text, OFFER_LIMIT).expect("a real offer")
}

fn changed(from: &str, to: &str) -> Result<Offer, OfferError> {
    assert!(SMALL.contains(from), "the change must be one");
    Offer::parse(&SMALL.replacen(from, to, 1), OFFER_LIMIT)
}

fn purposes(offer: &Offer) -> Vec<Purpose> {
    offer.media.iter().map(|media| media.purpose).collect()
}

#[test]
fn every_real_offer_is_read() {
    for (name, text) in REAL {
        let offer = Offer::parse(text, OFFER_LIMIT).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!offer.media.is_empty(), "{name}");
        let unix = text.replace("\r\n", "\n");
        assert_eq!(
            Offer::parse(unix.trim_end(), OFFER_LIMIT).as_ref(),
            Ok(&offer),
            "{name} with LF and no end"
        );
    }
}

#[test]
fn chromium_that_watches() {
    let offer = real("chromium_recvonly");
    assert_eq!(purposes(&offer), [Purpose::Media(Kind::Video), Purpose::Media(Kind::Audio)]);
    assert_eq!(offer.options, Options { bundle: true, mixed_extensions: true, reduced_rtcp: true });
    let video = &offer.media[0];
    assert_eq!((video.mid.as_str(), video.direction, video.rejected), ("0", Direction::ReceiveOnly, false));
    assert!(video.extension(PLAYOUT_DELAY).is_some() && video.extension(MID).is_some());
    assert!(video.extension(TRANSPORT_CC).is_some());
    let vp8 = video.payloads.iter().find(|payload| payload.codec == Some(Codec::Vp8)).expect("VP8");
    assert_eq!((vp8.number, vp8.clock_rate, vp8.rtx), (96, 90_000, Some(97)));
    assert_eq!(vp8.feedback, ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]);
    assert!(video.payloads.iter().all(|payload| payload.name != "rtx"), "folded into what they repair");
    let opus = offer.media[1].payloads.first().expect("a coding of sound");
    assert_eq!((opus.codec, opus.number, opus.channels), (Some(Codec::Opus), 111, 2));
}

#[test]
fn chromium_that_sends_layers_and_data() {
    let offer = real("chromium_simulcast");
    assert_eq!(
        purposes(&offer),
        [Purpose::Media(Kind::Audio), Purpose::Media(Kind::Video), Purpose::DataChannels]
    );
    assert_eq!(offer.media[1].simulcast, ["q", "h", "f"]);
    assert_eq!(offer.media[1].direction, Direction::SendReceive);
    assert_eq!(offer.media[0].ssrcs, [3_042_362_645]);
    let data = &offer.media[2];
    assert_eq!((data.sctp_port, data.max_message_size), (Some(5000), Some(262_144)));
}

#[test]
fn a_stopped_section_stays_refused() {
    let offer = real("chromium_stopped");
    let rejected: Vec<bool> = offer.media.iter().map(|media| media.rejected).collect();
    assert_eq!(rejected, [true, false]);
}

#[test]
fn a_bundle_only_section_is_not_refused() {
    let lines = "a=mid:0\r\na=bundle-only\r\na=rtcp-mux";
    let text = SMALL
        .replace("video 9", "video 0")
        .replace("a=rtcp-mux", lines)
        .replace("t=0 0", "t=0 0\r\na=group:BUNDLE 0");
    let offer = Offer::parse(&text, OFFER_LIMIT).expect("a good offer");
    assert!(offer.options.bundle && !offer.media[0].rejected);
}

#[test]
fn firefox_with_what_is_its_own() {
    let publishing = real("firefox_maxbundle_sendonly");
    assert!(publishing.media[1].first_line.starts_with("m=audio 0 "), "bundle-only");
    assert!(publishing.media.iter().all(|media| !media.rejected));
    let stopped: Vec<bool> = real("firefox_stopped").media.iter().map(|media| media.rejected).collect();
    assert_eq!(stopped, [true, false]);
    let layers = real("firefox_simulcast");
    assert_eq!(layers.media[1].simulcast, ["q", "h", "f"]);
    assert_eq!((layers.media[1].ssrcs.len(), layers.media[1].rtx_ssrcs.len()), (6, 3));
    assert_eq!(layers.media[2].max_message_size, Some(1_073_741_823));
}

#[test]
fn aiortc_that_publishes() {
    let offer = real("aiortc_publish");
    assert_eq!(
        purposes(&offer),
        [Purpose::Media(Kind::Audio), Purpose::Media(Kind::Video), Purpose::DataChannels]
    );
    assert_eq!(offer.media[1].rtx_ssrcs, [(3_094_915_123, 245_674_083)]);
    assert_eq!(offer.fingerprint.0[..3], [0x48, 0x5A, 0xAC], "sha-256 among three");
    let sound: Vec<_> = offer.media[0].payloads.iter().map(|payload| payload.codec).collect();
    assert_eq!(sound, [Some(Codec::Opus), None, Some(Codec::Pcmu), Some(Codec::Pcma)]);
}

#[test]
fn attributes_of_the_whole_hold_for_its_sections() {
    let offer = Offer::parse(SMALL, OFFER_LIMIT).expect("a good offer");
    assert_eq!((offer.ice.ufrag.as_str(), offer.options.bundle), ("abcd", false));
    assert_eq!(offer.fingerprint.0, std::array::from_fn(|place| u8::try_from(place).unwrap()));
    assert_eq!((offer.media[0].mid.as_str(), offer.media[0].direction), ("", Direction::SendReceive));
    let inactive = changed("a=setup:active", "a=inactive\r\na=setup:active").expect("a good offer");
    assert_eq!(inactive.media[0].direction, Direction::Inactive);
}

#[test]
fn sections_without_a_bundle_need_one_transport() {
    let second = |credentials: &str| {
        let section = format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n{credentials}");
        Offer::parse(&format!("{SMALL}{section}"), OFFER_LIMIT)
    };
    assert_eq!(second("").expect("the same credentials").media.len(), 2);
    let apart = second("a=ice-ufrag:efgh\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n");
    assert!(matches!(apart, Err(OfferError::Unsupported { what }) if what.contains("BUNDLE")));
    assert_eq!(second("a=ice-ufrag:efgh\r\n"), Err(OfferError::Missing { what: "a=ice-pwd" }));
}

#[test]
fn a_section_outside_the_bundle_is_an_error() {
    let (_, text) = REAL[0];
    let apart = Offer::parse(&text.replace("BUNDLE 0 1", "BUNDLE 0"), OFFER_LIMIT);
    assert!(matches!(apart, Err(OfferError::Unsupported { what }) if what.contains("section 1")));
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let missing = |line: &str, what: &str| {
        let found = changed(line, "a=x");
        assert!(found.as_ref().is_err_and(|error| error.to_string().contains(what)), "{line}: {found:?}");
    };
    missing("a=ice-ufrag:abcd", "a=ice-ufrag");
    missing("a=ice-pwd:abcdefghijklmnopqrstuv", "a=ice-pwd");
    missing("a=setup:active", "a=setup");
    missing("a=rtcp-mux", "a=rtcp-mux");
    missing("a=fingerprint:sha-256", "a=fingerprint");
    assert_eq!(Offer::parse("", OFFER_LIMIT), Err(OfferError::Missing { what: "v=0" }));
    assert_eq!(Offer::parse("v=0\r\n", OFFER_LIMIT), Err(OfferError::Missing { what: "media section" }));
}

#[test]
fn what_is_not_done_is_said_in_words() {
    let words = |from: &str, to: &str, what: &str| {
        let found = changed(from, to);
        assert!(
            matches!(&found, Err(OfferError::Unsupported { what: said }) if said.contains(what)),
            "{found:?}"
        );
    };
    words("fingerprint:sha-256 ", "fingerprint:sha-1 ", "sha-1");
    words("setup:active", "setup:passive", "a=setup:actpass");
}

#[test]
fn bad_lines_are_cited_by_number() {
    let at = |from: &str, to: &str| match changed(from, to) {
        Err(OfferError::Malformed { line, .. }) => line,
        other => panic!("{to}: {other:?}"),
    };
    assert_eq!(at("v=0", "v=1"), 1);
    assert_eq!(at("s=-", "nonsense"), 3);
    assert_eq!(at("s=-", "s=\u{1}"), 3);
    assert_eq!(at("s=-", &format!("s={}", "x".repeat(5000))), 3);
    assert_eq!(at("ice-ufrag:abcd", "ice-ufrag:abc"), 5);
    assert_eq!(at("ice-ufrag:abcd", "ice-ufrag:ab:cd"), 5);
    assert_eq!(at("setup:active", "setup:maybe"), 7);
    assert_eq!(at("00:01:02", "00:01:0x"), 8);
    assert_eq!(at("SAVPF 96", "SAVPF 96 96"), 9);
    assert_eq!(at("SAVPF 96", "SAVPF 128"), 9);
    assert_eq!(at("video 9 ", "video 99999 "), 9);
    assert_eq!(at("a=rtcp-mux", "a=rtcp-mux\r\na=mid:0\r\na=mid:1"), 12);
    assert_eq!(at("H264/90000", "H264/0"), 11);
    assert_eq!(at("a=rtcp-mux", "a=rtcp-mux\r\na=extmap:x urn:y"), 11);
}

#[test]
fn limits_hold() {
    let size = SMALL.len();
    assert_eq!(Offer::parse(SMALL, size - 1), Err(OfferError::TooLarge { size, limit: size - 1 }));
    let sections = format!("{SMALL}{}", "m=audio 0 RTP/AVP 0\r\n".repeat(SECTION_LIMIT));
    let found = Offer::parse(&sections, OFFER_LIMIT);
    assert!(found.is_err_and(|error| error.to_string().contains("64 media sections")));
    let attributes = format!("{SMALL}{}", "a=x\r\n".repeat(ATTRIBUTE_LIMIT));
    assert!(
        Offer::parse(&attributes, OFFER_LIMIT).is_err_and(|error| error.to_string().contains("1024 lines"))
    );
    let ssrcs = (0..65).map(|ssrc| format!("a=ssrc:{ssrc} cname:x\r\n")).collect::<Vec<_>>().concat();
    let found = Offer::parse(&format!("{SMALL}{ssrcs}"), OFFER_LIMIT);
    assert!(found.is_err_and(|error| error.to_string().contains("64 SSRCs")));
}

#[test]
fn layers_with_alternatives_and_paused_ones() {
    let lines = "a=rtcp-mux\r\na=rid:a send\r\na=rid:b send pt=96\r\na=rid:c recv\r\na=simulcast:recv c send ~a,z;b;q";
    let offer = changed("a=rtcp-mux", lines).expect("a good offer");
    assert_eq!(offer.media[0].simulcast, ["a", "b"], "q has no rid line");
}

#[test]
fn an_unknown_kind_or_plain_rtp_is_left_to_be_refused() {
    let offer = changed("m=video 9 UDP/TLS/RTP/SAVPF 96", "m=video 9 RTP/AVP 96");
    assert_eq!(offer, Err(OfferError::Missing { what: "media section that is not refused" }));
    let offer = Offer::parse(&format!("{SMALL}m=text 9 RTP/AVP 98\r\n"), OFFER_LIMIT).expect("a good offer");
    assert_eq!(offer.media.last().map(|media: &Media| media.purpose), Some(Purpose::Other));
}

const CERTIFICATE: &str = "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";
const CREDENTIALS: &str = "a=ice-ufrag:4fd0a1b2\r\na=ice-pwd:0123456789abcdef0123456789abcdef";

/// Written by hand after what the WHIP muxer of `FFmpeg` makes for pictures alone: the bundle names a section that is not there.
#[test]
fn a_bundle_may_name_more_than_there_is() {
    let offer = |setup: &str| {
        let text = format!(
            "v=0\r\no=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1\r\ns=FFmpegPublishSession\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
             a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=video 9 UDP/TLS/RTP/SAVPF 106\r\nc=IN IP4 0.0.0.0\r\n{CREDENTIALS}\r\n\
             {CERTIFICATE}\r\na=setup:{setup}\r\na=mid:1\r\na=sendonly\r\na=msid:FFmpeg video\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
             a=rtpmap:106 H264/90000\r\na=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c01e\r\n\
             a=ssrc:2231627014 cname:FFmpeg\r\na=ssrc:2231627014 msid:FFmpeg video\r\n"
        );
        Offer::parse(&text, OFFER_LIMIT)
    };
    let active = offer("active").expect("a good offer");
    assert_eq!(active.published_video_codecs(), [Codec::H264]);
    assert_eq!(active.media[0].ssrcs, [2_231_627_014]);
    assert!(offer("passive").is_err_and(|error| error.to_string().contains("a=setup:active")));
}

/// Written by hand after what OBS makes: everything about the transport stands before the sections.
#[test]
fn a_transport_may_be_told_once_for_all() {
    let text = format!(
        "v=0\r\no=rtc 2593872091 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=group:LS 0 1\r\na=msid-semantic:WMS *\r\n\
         a=setup:actpass\r\n{CREDENTIALS}\r\na=ice-options:ice2,trickle\r\n{CERTIFICATE}\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=ssrc:11 cname:x\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\na=ssrc-group:FID 12 13\r\na=ssrc:12 cname:x\r\n\
         a=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 goog-remb\r\n\
         a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
    );
    let offer = Offer::parse(&text, OFFER_LIMIT).expect("a good offer");
    assert_eq!(offer.options, Options { bundle: true, mixed_extensions: false, reduced_rtcp: false });
    assert_eq!(
        (offer.published_audio_codecs(), offer.published_video_codecs()),
        (vec![Codec::Opus], vec![Codec::H264])
    );
    assert_eq!((offer.media[1].payloads[0].rtx, &offer.media[1].rtx_ssrcs[..]), (Some(97), &[(12, 13)][..]));
}
