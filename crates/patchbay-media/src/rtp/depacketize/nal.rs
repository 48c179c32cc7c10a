//! H.264 (RFC 6184, packetization-mode 0 and 1) and H.265 (RFC 7798, without DONL): NAL units, each after its length in four bytes.

use super::{
    DepacketizeError, append,
    video::{Assemble, Finish},
};
use crate::Codec;

/// The picture that is being put together.
#[derive(Debug)]
pub(super) struct Nals {
    codec: Codec,
    /// Where the NAL unit that comes in fragments began, at its length.
    fragment: Option<usize>,
    picture: bool,
    key: bool,
}

/// Bits of a fragment's header: the first and the last one.
const FIRST: u8 = 0x80;
const LAST: u8 = 0x40;

/// How a payload carries NAL units.
enum Form<'a> {
    /// It is one.
    Single(&'a [u8]),
    /// Several, each after its length in two bytes.
    Several(&'a [u8]),
    /// A part of one: its header, the position, the bytes.
    Fragment(&'a [u8], u8, &'a [u8]),
}

impl Nals {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, fragment: None, picture: false, key: false }
    }

    fn malformed(&self, what: &'static str) -> DepacketizeError {
        DepacketizeError::Malformed { codec: self.codec, what }
    }

    fn add_nal(&mut self, nal: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let role = role(self.codec, nal)
            .ok_or(self.malformed("a NAL unit without a header or of an unknown type"))?;
        self.note(role);
        if role == Role::LeftOut {
            return Ok(());
        }
        let length = u32::try_from(nal.len()).map_err(|_| DepacketizeError::TooLong)?;
        append(unit, &length.to_be_bytes())?;
        append(unit, nal)
    }

    fn note(&mut self, role: Role) {
        self.picture |= matches!(role, Role::Key | Role::Picture);
        self.key |= role == Role::Key;
    }

    fn add_several(&mut self, nals: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let mut rest = nals;
        while !rest.is_empty() {
            let (nal, behind) = split(rest).ok_or(self.malformed("an aggregation that is cut off"))?;
            rest = behind;
            self.add_nal(nal, unit)?;
        }
        Ok(())
    }

    fn add_fragment(
        &mut self,
        header: &[u8],
        position: u8,
        body: &[u8],
        unit: &mut Vec<u8>,
    ) -> Result<(), DepacketizeError> {
        match (self.fragment, position & (FIRST | LAST)) {
            (_, 0xC0) => return Err(self.malformed("a fragment that is the first and the last one")),
            (Some(_), FIRST) => return Err(self.malformed("a NAL unit starts inside another one")),
            (None, FIRST) => self.begin(header, unit)?,
            (None, _) => return Err(self.malformed("a fragment without a start")),
            (Some(_), _) => {}
        }
        append(unit, body)?;
        if let (LAST, Some(start)) = (position & LAST, self.fragment) {
            self.fragment = None;
            self.end(start, unit)?;
        }
        Ok(())
    }

    fn begin(&mut self, header: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let role =
            role(self.codec, header).ok_or(self.malformed("fragments of an unknown type of NAL unit"))?;
        self.note(role);
        self.fragment = Some(unit.len());
        append(unit, &[0; 4])?;
        append(unit, header)
    }

    /// Writes the length that is known now, or takes the NAL unit away where units do not have it.
    fn end(&self, start: usize, unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let Some((length, nal)) = unit.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) else {
            return Ok(());
        };
        if role(self.codec, nal) == Some(Role::LeftOut) {
            unit.truncate(start);
            return Ok(());
        }
        *length = u32::try_from(nal.len()).map_err(|_| DepacketizeError::TooLong)?.to_be_bytes();
        Ok(())
    }

    fn may_start_nal(&self, header: &[u8], body: Option<&[u8]>) -> bool {
        match role(self.codec, header) {
            Some(Role::Key | Role::Picture) => {
                body.and_then(<[u8]>::first).is_some_and(|first| first & 0x80 != 0)
            }
            Some(Role::Other | Role::LeftOut) => true,
            None => false,
        }
    }

    fn form<'a>(&self, payload: &'a [u8], header: &'a mut [u8; 2]) -> Result<Form<'a>, DepacketizeError> {
        match self.codec {
            Codec::H265 => form_h265(payload, header).ok_or(self.malformed("a payload that is too short"))?,
            _ => form_h264(payload, header).ok_or(self.malformed("a payload that is too short"))?,
        }
    }
}

impl Assemble for Nals {
    fn starts(&self, payload: &[u8]) -> bool {
        let mut header = [0; 2];
        match self.form(payload, &mut header) {
            Ok(Form::Single(nal)) => starts(self.codec, nal),
            Ok(Form::Several(nals)) => split(nals).is_some_and(|(nal, _)| starts(self.codec, nal)),
            _ => false,
        }
    }

    /// Cameras whose parameter sets are told by other means start with a message or a slice: the first of its picture where its first bit is set
    /// (`first_mb_in_slice` is 0, `first_slice_segment_in_pic_flag` is 1).
    fn may_start(&self, payload: &[u8]) -> bool {
        let mut header = [0; 2];
        match self.form(payload, &mut header) {
            Ok(Form::Single(nal)) => self.may_start_nal(nal, nal.get(header_len(self.codec)..)),
            Ok(Form::Several(nals)) => {
                split(nals).is_some_and(|(nal, _)| self.may_start_nal(nal, nal.get(header_len(self.codec)..)))
            }
            Ok(Form::Fragment(header, position, body)) => {
                position & FIRST != 0 && self.may_start_nal(header, Some(body))
            }
            Err(_) => false,
        }
    }

    fn add(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), DepacketizeError> {
        let mut header = [0; 2];
        let form = self.form(payload, &mut header)?;
        match (form, self.fragment) {
            (Form::Fragment(header, position, body), _) => self.add_fragment(header, position, body, unit),
            (_, Some(_)) => Err(self.malformed("a NAL unit without an end")),
            (Form::Single(nal), None) => self.add_nal(nal, unit),
            (Form::Several(nals), None) => self.add_several(nals, unit),
        }
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<Finish, DepacketizeError> {
        if self.fragment.is_some() {
            return Err(self.malformed("a NAL unit without an end"));
        }
        Ok(match (self.picture, self.key) {
            (false, _) => Finish::NotYet,
            (true, true) => Finish::Key,
            (true, false) => Finish::Delta,
        })
    }

    fn reset(&mut self) {
        *self = Self::new(self.codec);
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn form_h264<'a>(payload: &'a [u8], header: &'a mut [u8; 2]) -> Option<Result<Form<'a>, DepacketizeError>> {
    let (&first, behind) = payload.split_first()?;
    let unsupported =
        |what, instead| Err(DepacketizeError::Unsupported { codec: Codec::H264, what, instead });
    Some(match first & 0x1F {
        24 => Ok(Form::Several(behind)),
        28 => {
            let (&position, body) = behind.split_first()?;
            *header = [(first & 0xE0) | (position & 0x1F), 0];
            Ok(Form::Fragment(header.get(..1)?, position, body))
        }
        25..=27 | 29 => unsupported("interleaved packets (packetization-mode 2)", "packetization-mode 1"),
        _ => Ok(Form::Single(payload)),
    })
}

fn form_h265<'a>(payload: &'a [u8], header: &'a mut [u8; 2]) -> Option<Result<Form<'a>, DepacketizeError>> {
    let (&[first, second], behind) = payload.split_first_chunk()?;
    let unsupported =
        |what, instead| Err(DepacketizeError::Unsupported { codec: Codec::H265, what, instead });
    Some(match first >> 1 & 0x3F {
        48 => Ok(Form::Several(behind)),
        49 => {
            let (&position, body) = behind.split_first()?;
            *header = [(first & 0x81) | (position & 0x3F) << 1, second];
            Ok(Form::Fragment(header, position, body))
        }
        50 => unsupported("PACI packets", "packets without payload header extensions"),
        _ => Ok(Form::Single(payload)),
    })
}

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Delimiters and filler.
    LeftOut,
    /// Parameter sets, messages.
    Other,
    /// A slice.
    Picture,
    /// A slice of a picture at which decoding can start.
    Key,
}

fn role(codec: Codec, nal: &[u8]) -> Option<Role> {
    match (codec, kind(codec, nal)?) {
        (Codec::H265, 35 | 38) | (Codec::H264, 9 | 12) => Some(Role::LeftOut),
        (Codec::H265, 16..=21) | (Codec::H264, 5) => Some(Role::Key),
        (Codec::H265, 0..=31) | (Codec::H264, 1..=4) => Some(Role::Picture),
        (Codec::H265, 32..=47) | (Codec::H264, 6..=23) => Some(Role::Other),
        _ => None,
    }
}

const fn header_len(codec: Codec) -> usize {
    if matches!(codec, Codec::H265) { 2 } else { 1 }
}

/// A delimiter, or the parameter set that is the first of its kind: no packet of the same picture can stand in front of it, delimiters apart.
fn starts(codec: Codec, nal: &[u8]) -> bool {
    matches!((codec, kind(codec, nal)), (Codec::H265, Some(32 | 35)) | (Codec::H264, Some(7 | 9)))
}

/// The type of a NAL unit whose header is whole and allowed.
fn kind(codec: Codec, nal: &[u8]) -> Option<u8> {
    match (codec, nal) {
        (Codec::H265, &[first, second, ..]) if first & 0x80 == 0 && second & 7 != 0 => Some(first >> 1),
        (Codec::H264, &[first, ..]) if first & 0x80 == 0 => Some(first & 0x1F),
        _ => None,
    }
}
