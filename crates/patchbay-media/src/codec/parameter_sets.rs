//! Keeps the parameter sets of an H.264 or H.265 stream, and puts them where the hub wants them.

use super::{HeaderError, Normalised, VideoFormat, h264, h265, nal};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Most parameter sets that are kept; streams have two or three.
pub const MAX_PARAMETER_SETS: usize = 64;

/// Most bytes of all of them, since they go in front of every key frame that comes without.
pub const MAX_PARAMETER_SET_BYTES: usize = 64 * 1024;

/// Which of the two codings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    H264,
    H265,
}

/// Orders parameter sets as a decoder needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SetKind {
    Vps,
    Sps,
    Pps,
}

/// What becomes of a NAL unit.
enum Role {
    Set(SetKind, u8),
    /// Of no use to anybody behind the hub.
    Waste,
    KeySlice,
    Keep,
}

/// The parameter sets that a stream has at this point, and the work on its units.
#[derive(Clone, Debug)]
pub struct ParameterSets {
    coding: Coding,
    sets: BTreeMap<(SetKind, u8), Bytes>,
}

impl ParameterSets {
    /// None yet, of an H.264 stream.
    pub const fn h264() -> Self {
        Self { coding: Coding::H264, sets: BTreeMap::new() }
    }

    /// None yet, of an H.265 stream.
    pub const fn h265() -> Self {
        Self { coding: Coding::H265, sets: BTreeMap::new() }
    }

    /// Takes those of a track's configuration, or of SDP, in the form of the hub. Other NAL units are left out.
    pub fn learn(&mut self, configuration: &Bytes) -> Result<(), HeaderError> {
        for nal in nal::units(configuration) {
            let nal = nal?;
            if let Role::Set(kind, id) = self.role(&nal)? {
                self.insert(kind, id, &nal)?;
            }
        }
        Ok(())
    }

    /// A track's configuration: all of them, each after its length.
    pub fn configuration(&self) -> Result<Bytes, HeaderError> {
        let sets: Vec<_> = self.sets.values().collect();
        nal::join(&sets)
    }

    /// The SPS with the lowest number; `None` before there is one.
    pub fn sps(&self) -> Option<&Bytes> {
        self.of(SetKind::Sps).next()
    }

    /// What the SPS says of the pictures.
    pub fn format(&self) -> Result<VideoFormat, HeaderError> {
        let sps = self.sps().ok_or(HeaderError::NoParameterSets)?;
        match self.coding {
            Coding::H264 => Ok(h264::Sps::parse(sps)?.format()),
            Coding::H265 => Ok(h265::Sps::parse(sps)?.format()),
        }
    }

    /// Brings an access unit, NAL units after lengths of four bytes, into the hub's form: takes delimiters and filler out, and puts the parameter
    /// sets in front of a key frame that came without them.
    ///
    /// Fails on a key frame as long as parameter sets are missing: nobody can decode it. After an error the stream can go on with its next unit.
    pub fn normalise(&mut self, unit: &Bytes) -> Result<Normalised, HeaderError> {
        let mut kept = Vec::new();
        let (mut key, mut changed, mut wasted) = (false, false, false);
        let mut ahead = BTreeSet::new();
        for nal in nal::units(unit) {
            let nal = nal?;
            match self.role(&nal)? {
                Role::Waste => wasted = true,
                Role::Set(kind, id) => {
                    // Behind the first key slice it would come too late for the picture: then all go in front.
                    if !key {
                        ahead.insert((kind, id));
                    }
                    changed |= self.insert(kind, id, &nal)?;
                    kept.push(nal);
                }
                Role::KeySlice => {
                    key = true;
                    kept.push(nal);
                }
                Role::Keep => kept.push(nal),
            }
        }
        let complete = ahead.len() >= self.sets.len();
        let data = match (key, wasted) {
            (true, _) if !complete => self.lead(kept)?,
            (true, _) if !self.can_decode() => return Err(HeaderError::NoParameterSets),
            (_, false) => unit.clone(),
            _ => nal::join(&kept)?,
        };
        let configuration = if changed && self.can_decode() { Some(self.configuration()?) } else { None };
        Ok(Normalised { data, key, configuration })
    }

    /// All sets, and then what is no set.
    fn lead(&self, kept: Vec<Bytes>) -> Result<Bytes, HeaderError> {
        if !self.can_decode() {
            return Err(HeaderError::NoParameterSets);
        }
        let mut led: Vec<_> = self.sets.values().cloned().collect();
        for nal in kept {
            if !matches!(self.role(&nal)?, Role::Set(..)) {
                led.push(nal);
            }
        }
        nal::join(&led)
    }

    fn can_decode(&self) -> bool {
        let has = |kind| self.of(kind).next().is_some();
        has(SetKind::Sps) && has(SetKind::Pps) && (self.coding == Coding::H264 || has(SetKind::Vps))
    }

    fn of(&self, kind: SetKind) -> impl Iterator<Item = &Bytes> {
        self.sets.range((kind, 0)..=(kind, u8::MAX)).map(|(_, set)| set)
    }

    /// True when it is another than before.
    fn insert(&mut self, kind: SetKind, id: u8, set: &Bytes) -> Result<bool, HeaderError> {
        if self.sets.get(&(kind, id)) == Some(set) {
            return Ok(false);
        }
        let others = self.sets.iter().filter(|(key, _)| **key != (kind, id));
        let (count, size) =
            others.fold((1, set.len()), |(count, size), (_, set)| (count + 1, size + set.len()));
        if count > MAX_PARAMETER_SETS {
            return Err(HeaderError::TooLarge {
                what: "the number of parameter sets",
                limit: MAX_PARAMETER_SETS,
            });
        }
        if size > MAX_PARAMETER_SET_BYTES {
            return Err(HeaderError::TooLarge {
                what: "the size of the parameter sets",
                limit: MAX_PARAMETER_SET_BYTES,
            });
        }
        // A copy: kept for long, a slice would hold on to the whole unit that it came in.
        self.sets.insert((kind, id), Bytes::copy_from_slice(set));
        Ok(true)
    }

    fn role(&self, nal: &[u8]) -> Result<Role, HeaderError> {
        match self.coding {
            Coding::H264 => h264_role(nal),
            Coding::H265 => h265_role(nal),
        }
    }
}

fn h264_role(nal: &[u8]) -> Result<Role, HeaderError> {
    Ok(match h264::NalType::of(nal) {
        h264::NalType::Sps => Role::Set(SetKind::Sps, h264::Sps::parse(nal)?.id),
        h264::NalType::Pps => Role::Set(SetKind::Pps, h264::PpsIds::parse(nal)?.id),
        h264::NalType::Delimiter | h264::NalType::Filler => Role::Waste,
        h264::NalType::Idr => Role::KeySlice,
        h264::NalType::Slice | h264::NalType::Sei | h264::NalType::Other => Role::Keep,
    })
}

fn h265_role(nal: &[u8]) -> Result<Role, HeaderError> {
    Ok(match h265::NalType::of(nal) {
        h265::NalType::Vps => Role::Set(SetKind::Vps, h265::vps_id(nal)?),
        h265::NalType::Sps => Role::Set(SetKind::Sps, h265::Sps::parse(nal)?.id),
        h265::NalType::Pps => Role::Set(SetKind::Pps, h265::pps_id(nal)?),
        h265::NalType::Delimiter | h265::NalType::Filler => Role::Waste,
        h265::NalType::Irap => Role::KeySlice,
        h265::NalType::Slice | h265::NalType::Other => Role::Keep,
    })
}

#[cfg(test)]
#[path = "parameter_sets_tests.rs"]
mod tests;
