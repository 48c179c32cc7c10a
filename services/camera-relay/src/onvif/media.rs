//! The device's services, and what its media service tells of streams: questions, and how their answers are read. There are two versions of that service with different
//! words for the same (ONVIF Media, section 5; ONVIF Media2, section 5).

use super::{soap::Operation, tree::Element};
use crate::xml;
use quick_xml::escape::escape;

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";

/// Profiles that are asked for their streams: each is a question of its own.
const PROFILES: usize = 64;

/// Characters that are kept of a name, of a coding, and of a token (64 by the standard).
const NAME: usize = 64;
const CODEC: usize = 16;
const TOKEN: usize = 256;

/// Pictures a second and kilobits a second above which a figure is none.
const MAX_FPS: f64 = 1000.0;
const MAX_KBIT: u64 = 10_000_000;

/// A version of the media service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// What a device is set to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Profile {
    pub(crate) token: String,
    pub(crate) name: String,
    /// As ONVIF writes it: `H264`; empty where the device tells none, as zeros are below.
    pub(crate) codec: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: f64,
    /// Bits a second.
    pub(crate) bitrate: u64,
}

/// What time it is there. Devices tell it without a login.
pub(super) fn get_time() -> Operation {
    plain(DEVICE, "GetSystemDateAndTime")
}

/// Maker and model.
pub(super) fn get_information() -> Operation {
    plain(DEVICE, "GetDeviceInformation")
}

/// All services.
pub(super) fn get_services() -> Operation {
    let arguments = "<o:IncludeCapability>false</o:IncludeCapability>".to_owned();
    Operation { arguments, ..plain(DEVICE, "GetServices") }
}

/// The same of old devices.
pub(super) fn get_capabilities() -> Operation {
    let arguments = "<o:Category>All</o:Category>".to_owned();
    Operation { arguments, ..plain(DEVICE, "GetCapabilities") }
}

fn plain(namespace: &'static str, name: &'static str) -> Operation {
    Operation { namespace, name, arguments: String::new() }
}

/// The media service among all: the first version where there is one, which all cameras that have both speak best.
pub(super) fn media_of_services(answer: &Element) -> Option<(Version, &str)> {
    let of = |namespace| {
        let mut services = answer.named("Service");
        services.find(|service| service.text_at(&["Namespace"]) == namespace).map(|it| it.text_at(&["XAddr"]))
    };
    let first = of(MEDIA).map(|address| (Version::One, address));
    first.or_else(|| of(MEDIA2).map(|address| (Version::Two, address)))
}

/// The same of old devices, which have the first version alone.
pub(super) fn media_of_capabilities(answer: &Element) -> Option<(Version, &str)> {
    Some((Version::One, answer.at(&["Capabilities", "Media", "XAddr"])?.text.as_str()))
}

/// Maker and model.
pub(super) fn maker_and_model(answer: &Element) -> (String, String) {
    let told = |name| xml::harmless(answer.text_at(&[name]), NAME);
    (told("Manufacturer"), told("Model"))
}

impl Version {
    const fn namespace(self) -> &'static str {
        match self {
            Self::One => MEDIA,
            Self::Two => MEDIA2,
        }
    }

    pub(super) fn get_profiles(self) -> Operation {
        let arguments = match self {
            Self::One => String::new(),
            // Without it there are names and nothing else.
            Self::Two => "<o:Type>VideoEncoder</o:Type>".to_owned(),
        };
        Operation { arguments, ..plain(self.namespace(), "GetProfiles") }
    }

    /// For RTSP to one receiver within the connection.
    pub(super) fn get_stream(self, token: &str) -> Operation {
        let token = escape(token);
        let arguments = match self {
            Self::One => format!(
                concat!(
                    r#"<o:StreamSetup><t:Stream xmlns:t="http://www.onvif.org/ver10/schema">RTP-Unicast</t:Stream>"#,
                    r#"<t:Transport xmlns:t="http://www.onvif.org/ver10/schema"><t:Protocol>RTSP</t:Protocol></t:Transport>"#,
                    r#"</o:StreamSetup><o:ProfileToken>{}</o:ProfileToken>"#,
                ),
                token
            ),
            Self::Two => format!("<o:Protocol>RTSP</o:Protocol><o:ProfileToken>{token}</o:ProfileToken>"),
        };
        Operation { arguments, ..plain(self.namespace(), "GetStreamUri") }
    }

    /// Address of a stream, as the device writes it.
    pub(super) fn stream(self, answer: &Element) -> &str {
        answer.text_at(match self {
            Self::One => &["MediaUri", "Uri"],
            Self::Two => &["Uri"],
        })
    }

    /// Profiles with pictures, and no more than are asked for.
    pub(super) fn profiles(self, answer: &Element) -> Vec<Profile> {
        let read = answer.named("Profiles").filter_map(|profile| self.profile(profile));
        read.take(PROFILES).collect()
    }

    fn profile(self, element: &Element) -> Option<Profile> {
        let (encoder, source) = match self {
            Self::One => (&["VideoEncoderConfiguration"][..], &["VideoSourceConfiguration"][..]),
            Self::Two => (&["Configurations", "VideoEncoder"][..], &["Configurations", "VideoSource"][..]),
        };
        // Some devices leave out an encoder that the first version has no word for, such as that of H.265.
        let encoder = element.at(encoder).or_else(|| element.at(source))?;
        let token = Some(&element.token).filter(|token| !token.is_empty() && token.len() <= TOKEN)?;
        let pixels = |way: &[&str]| encoder.text_at(way).parse().unwrap_or_default();
        let fps: f64 = encoder.text_at(&["RateControl", "FrameRateLimit"]).parse().unwrap_or_default();
        let kbit: u64 = encoder.text_at(&["RateControl", "BitrateLimit"]).parse().unwrap_or_default();
        Some(Profile {
            token: token.clone(),
            name: xml::harmless(element.text_at(&["Name"]), NAME),
            codec: xml::harmless(encoder.text_at(&["Encoding"]), CODEC),
            width: pixels(&["Resolution", "Width"]),
            height: pixels(&["Resolution", "Height"]),
            fps: if (0.0..=MAX_FPS).contains(&fps) { fps } else { 0.0 },
            bitrate: if kbit <= MAX_KBIT { kbit * 1000 } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODER: &str = "<Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height></Resolution><RateControl><FrameRateLimit>25</FrameRateLimit><BitrateLimit>4096</BitrateLimit></RateControl>";

    fn main() -> Profile {
        Profile {
            token: "P1".to_owned(),
            name: "Main".to_owned(),
            codec: "H264".to_owned(),
            width: 1920,
            height: 1080,
            fps: 25.0,
            bitrate: 4_096_000,
        }
    }

    fn profiles(version: Version, inner: &str) -> Vec<Profile> {
        version.profiles(&Element::read(&format!("<r>{inner}</r>")).unwrap())
    }

    #[test]
    fn both_versions_tell_the_same() {
        let one = format!(
            "<Profiles token='P1'><Name>Main</Name><VideoEncoderConfiguration>{ENCODER}</VideoEncoderConfiguration></Profiles>"
        );
        assert_eq!(profiles(Version::One, &one), [main()]);
        let two = format!(
            "<Profiles token='P1'><Name>Main</Name><Configurations><VideoEncoder>{ENCODER}</VideoEncoder></Configurations></Profiles>"
        );
        assert_eq!(profiles(Version::Two, &two), [main()]);
        assert_eq!(profiles(Version::One, &two), []);
    }

    #[test]
    fn profiles_without_pictures_or_tokens_are_left_out_and_odd_figures_are_none() {
        let video = "<VideoSourceConfiguration/>";
        let odd = format!(
            "<Profiles token='a'><Name>Sound</Name></Profiles><Profiles>{video}</Profiles><Profiles token='b'>{video}</Profiles><Profiles token='c'><VideoEncoderConfiguration><Resolution><Width>-1</Width></Resolution><RateControl><FrameRateLimit>NaN</FrameRateLimit><BitrateLimit>18446744073709551615</BitrateLimit></RateControl></VideoEncoderConfiguration></Profiles>"
        );
        let blank = |token: &str| Profile { token: token.to_owned(), ..Profile::default() };
        assert_eq!(profiles(Version::One, &odd), [blank("b"), blank("c")]);
        let many = format!("<Profiles token='a'>{video}</Profiles>").repeat(1000);
        assert_eq!(profiles(Version::One, &many).len(), PROFILES);
    }

    #[test]
    fn the_first_version_is_taken_where_there_is_one() {
        let services = |namespaces: &[&str]| {
            let each = namespaces.iter().map(|namespace| {
                format!(
                    "<Service><Namespace>{namespace}</Namespace><XAddr>http://a/{namespace}</XAddr></Service>"
                )
            });
            Element::read(&format!("<r>{}</r>", each.collect::<String>())).unwrap()
        };
        let of = |namespaces: &[&str]| media_of_services(&services(namespaces)).map(|(version, _)| version);
        assert_eq!(of(&[DEVICE, MEDIA2, MEDIA]), Some(Version::One));
        assert_eq!(of(&[DEVICE, MEDIA2]), Some(Version::Two));
        assert_eq!(of(&[DEVICE]), None);
        let old = "<r><Capabilities><Media><XAddr>http://a/m</XAddr></Media></Capabilities></r>";
        let expected = Some((Version::One, "http://a/m"));
        assert_eq!(media_of_capabilities(&Element::read(old).unwrap()), expected);
    }

    #[test]
    fn tokens_do_not_break_the_question() {
        for version in [Version::One, Version::Two] {
            let asked = version.get_stream("<&'\">").envelope("");
            let read = Element::read(&asked).unwrap();
            assert_eq!(read.text_at(&["Body", "GetStreamUri", "ProfileToken"]), "<&'\">");
        }
    }
}
