//! AV1 (bitstream specification of the Alliance for Open Media): open bitstream units (OBUs), the sequence header, and where decoding can start.

mod obu;
mod sequence;

pub use obu::{MAX_OBUS, Obu, ObuType, obus};
pub(crate) use obu::{ObuRef, put_leb128, take_leb128};
pub use sequence::{ColorFormat, SequenceHeader};

use super::{HeaderError, Normalised, bits::BitReader, nal::MAX_UNIT_BYTES};
use bytes::{BufMut, Bytes, BytesMut};

/// Whether decoding can start at a temporal unit in the hub's form: a sequence header, and then a key frame that is shown.
pub fn is_key(unit: &Bytes) -> Result<bool, HeaderError> {
    let mut sequence = None;
    for obu in obus(unit) {
        let obu = obu?;
        match obu.kind {
            ObuType::SequenceHeader => sequence = Some(SequenceHeader::parse(&obu.body)?),
            ObuType::FrameHeader | ObuType::Frame => return starts_key_frame(sequence.as_ref(), &obu.body),
            _ => {}
        }
    }
    Ok(false)
}

/// Of a frame or its header, whether a moving picture can start there; nothing for everything else.
pub(crate) fn frame_is_key(obu: &ObuRef<'_>) -> Option<bool> {
    let is_frame = matches!(obu.kind(), ObuType::FrameHeader | ObuType::Frame);
    is_frame.then(|| starts_key_frame(None, obu.body).unwrap_or(false))
}

/// 5.9.2. Without a sequence header (it came before, in another unit) the frame is taken for one of a moving picture.
fn starts_key_frame(sequence: Option<&SequenceHeader>, frame: &[u8]) -> Result<bool, HeaderError> {
    const KEY_FRAME: u32 = 0;
    if sequence.is_some_and(|sequence| sequence.single_picture) {
        return Ok(true);
    }
    let mut bits = BitReader::new(frame);
    let show_existing = bits.flag()?;
    let frame_type = bits.bits(2)?;
    let show = bits.flag()?;
    Ok(!show_existing && frame_type == KEY_FRAME && show)
}

/// The sequence header that a stream has at this point, and the work on its units.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    header: Option<Obu>,
}

impl Sequence {
    /// Takes the sequence header of a track's configuration. Other OBUs are left out.
    pub fn learn(&mut self, configuration: &Bytes) -> Result<(), HeaderError> {
        for obu in obus(configuration) {
            self.note(&obu?)?;
        }
        Ok(())
    }

    /// What it says; `None` before there is one.
    pub fn header(&self) -> Option<Result<SequenceHeader, HeaderError>> {
        self.header.as_ref().map(|obu| SequenceHeader::parse(&obu.body))
    }

    /// Brings a temporal unit into the hub's form: gives each OBU a size field, takes out what no decoder needs, and puts the sequence header in
    /// front of a key frame that came without it.
    pub fn normalise(&mut self, unit: &Bytes) -> Result<Normalised, HeaderError> {
        let mut kept = Vec::new();
        let (mut as_it_is, mut changed, mut key, mut described) = (true, false, None, false);
        // The one before the first frame: one behind it holds for later units.
        let mut lead = self.header.clone();
        for obu in obus(unit) {
            let obu = obu?;
            as_it_is &= obu.has_size;
            match obu.kind {
                kind if kind.is_left_out() => {
                    as_it_is = false;
                    continue;
                }
                ObuType::SequenceHeader => {
                    changed |= self.note(&obu)?;
                    if key.is_none() {
                        described = true;
                        lead.clone_from(&self.header);
                    }
                }
                ObuType::FrameHeader | ObuType::Frame if key.is_none() => {
                    let sequence = self.header().transpose()?;
                    key = Some(starts_key_frame(sequence.as_ref(), &obu.body)?);
                }
                _ => {}
            }
            kept.push(obu);
        }
        let key = key.unwrap_or(false);
        if key && !described {
            kept.insert(0, lead.ok_or(HeaderError::NoParameterSets)?);
            as_it_is = false;
        }
        let data = if as_it_is { unit.clone() } else { join(&kept)? };
        let configuration = if changed {
            self.header.as_ref().map(|obu| join(std::slice::from_ref(obu))).transpose()?
        } else {
            None
        };
        Ok(Normalised { data, key, configuration })
    }

    /// True when the OBU is a sequence header other than the one before.
    fn note(&mut self, obu: &Obu) -> Result<bool, HeaderError> {
        let known = self.header.as_ref().is_some_and(|known| known.body == obu.body);
        if obu.kind != ObuType::SequenceHeader || known {
            return Ok(false);
        }
        SequenceHeader::parse(&obu.body)?;
        // A copy: kept for long, a slice would hold on to the whole unit that it came in.
        self.header = Some(Obu { body: Bytes::copy_from_slice(&obu.body), ..obu.clone() });
        Ok(true)
    }
}

/// OBUs, each with a size field.
pub fn join(obus: &[Obu]) -> Result<Bytes, HeaderError> {
    const HEADER: usize = 2 + 5;
    let size = obus.iter().fold(0_usize, |size, obu| size.saturating_add(obu.body.len() + HEADER));
    if size > MAX_UNIT_BYTES + obus.len() * HEADER {
        return Err(HeaderError::TooLarge { what: "a temporal unit's size", limit: MAX_UNIT_BYTES });
    }
    let mut data = BytesMut::with_capacity(size);
    for obu in obus {
        obu.write(&mut data);
    }
    Ok(data.freeze())
}

/// `AV1CodecConfigurationRecord` (AV1 in ISOBMFF, 2.3), the `av1C` of MP4 and enhanced FLV: the record for a sequence header OBU, as
/// [`Normalised::configuration`] has it.
pub fn build_av1c(configuration: &Bytes) -> Result<Bytes, HeaderError> {
    let mut sequence = Sequence::default();
    sequence.learn(configuration)?;
    let header = sequence.header().ok_or(HeaderError::NoParameterSets)??;
    let mut record = BytesMut::with_capacity(4 + configuration.len());
    record.put_u8(0x81);
    record.put_u8(header.profile << 5 | header.level);
    record.put_u8(header.tier << 7 | header.color.bits());
    record.put_u8(0);
    record.put_slice(configuration);
    Ok(record.freeze())
}

/// The OBUs of such a record, to [`learn`](Sequence::learn) from.
pub fn parse_av1c(record: &Bytes) -> Result<Bytes, HeaderError> {
    let (head, _) = record.split_first_chunk::<4>().ok_or(HeaderError::Truncated)?;
    if head.first() != Some(&0x81) {
        return Err(HeaderError::Invalid("the version of an av1C record"));
    }
    Ok(record.slice(4..))
}

#[cfg(test)]
#[path = "av1_tests.rs"]
mod tests;
