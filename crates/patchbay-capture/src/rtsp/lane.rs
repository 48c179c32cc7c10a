//! One track of a camera: its packets in, units in the hub's form out, with what the track has to say of itself.

use super::offer::{Format, Taken};
use bytes::Bytes;
use patchbay_media::{
    Codec, Kind,
    codec::{
        HeaderError, Normalised, av1::Sequence, h264, h265, opus::Packet as OpusPacket,
        parameter_sets::ParameterSets, vp8, vp9,
    },
    hub::Health,
    rtp::{
        depacketize::{DepacketizeError, Depacketizer, Incoming, Unit},
        header::Packet,
    },
    track::TrackInfo,
};
use std::{sync::Arc, time::Duration};

/// Packets in a row after which another sender, or another payload type, is taken for the track's own: some cameras mix in packets of an old session.
const PROBATION: u32 = 2;
/// A gap beyond this is a sender that has begun anew, not a loss.
const MOST_LOST: u16 = 0x4000;
/// Depth of reordering where nothing says it: what encoders use by default.
const USUAL_DEPTH: usize = 2;

/// What a packet did.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// Units that came whole.
    pub(super) units: Vec<Shaped>,
    /// The sender has begun anew.
    pub(super) restarted: bool,
}

/// A unit in the hub's form.
#[derive(Clone, Debug)]
pub(super) struct Shaped {
    pub(super) timestamp: u32,
    pub(super) key: bool,
    pub(super) data: Bytes,
    /// It shows that pictures come in another order than they are shown in.
    pub(super) bidirectional: bool,
}

/// What is known of the order of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// They are shown as they come, or it is sound.
    Kept,
    /// Nothing is said; most cameras keep it.
    Unsaid,
    /// They are shown in another order, at most so many apart.
    Changed(usize),
}

/// The state of one track.
pub(super) struct Lane {
    info: TrackInfo,
    formats: Arc<[Format]>,
    payload_type: u8,
    ssrc: Option<u32>,
    /// Sequence number of the newest packet.
    sequence: Option<u16>,
    stranger: Option<(Stranger, u32)>,
    depacketizer: Depacketizer,
    form: Form,
    order: Order,
    units: Vec<Unit>,
}

/// Who else sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stranger {
    ssrc: u32,
    payload_type: u8,
}

enum Form {
    NalUnits(ParameterSets),
    Av1(Sequence),
    Vp8,
    Vp9,
    Plain,
}

impl Lane {
    pub(super) fn new(taken: &Taken, formats: Arc<[Format]>) -> Self {
        let codec = taken.info.codec;
        let mut lane = Self {
            info: taken.info.clone(),
            formats,
            payload_type: taken.payload_type,
            ssrc: None,
            sequence: None,
            stranger: None,
            depacketizer: Depacketizer::new(codec),
            form: Form::new(codec),
            order: Order::Kept,
            units: Vec::new(),
        };
        if let Form::NalUnits(sets) = &mut lane.form {
            // They were read once already.
            sets.learn(&lane.info.configuration).unwrap_or_default();
        }
        lane.learn_order();
        lane
    }

    /// What the track carries, as far as it is known.
    pub(super) fn info(&self) -> &TrackInfo {
        &self.info
    }

    pub(super) fn is_video(&self) -> bool {
        self.info.codec.kind() == Kind::Video
    }

    /// Whether enough is known to show the track to others.
    pub(super) fn is_known(&self) -> bool {
        !self.is_video() || self.info.width > 0
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Pictures were seen that come in another order.
    pub(super) fn is_reordered(&mut self) {
        self.order = Order::Changed(USUAL_DEPTH);
        self.info.reordered = true;
    }

    /// Time between two units, until it is known from the track itself.
    pub(super) fn nominal(&self) -> Duration {
        if self.is_video() { Duration::from_millis(40) } else { Duration::from_millis(20) }
    }

    /// The sender whose packets are taken.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Takes a packet.
    pub(super) fn push(&mut self, packet: &[u8], health: &Health) -> Pushed {
        let mut taken = Pushed::default();
        let Ok(packet) = Packet::parse(packet) else {
            health.discard();
            return taken;
        };
        let Some(restarted) = self.admit(&packet, health) else { return taken };
        taken.restarted = restarted;
        self.count_lost(packet.header.sequence, health);
        let incoming = Incoming {
            sequence: packet.header.sequence,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payload,
        };
        let mut units = std::mem::take(&mut self.units);
        if let Err(error) = self.depacketizer.push(incoming, &mut units) {
            self.complain(&error);
            health.discard();
        }
        for unit in units.drain(..) {
            match self.shape(&unit) {
                Ok(shaped) => taken.units.push(shaped),
                Err(error) => {
                    tracing::debug!(codec = self.info.codec.name(), %error, "a unit of a camera cannot be used");
                    health.discard();
                }
            }
        }
        self.units = units;
        taken
    }

    fn complain(&self, error: &DepacketizeError) {
        tracing::debug!(codec = self.info.codec.name(), %error, "a packet of a camera cannot be used");
    }

    /// Whether a packet is of this track; true inside when its sender, or its codec, is a new one.
    fn admit(&mut self, packet: &Packet<'_>, health: &Health) -> Option<bool> {
        let (ssrc, payload_type) = (packet.header.ssrc, packet.header.payload_type);
        if self.payload_type == payload_type && self.ssrc.is_none_or(|known| known == ssrc) {
            self.ssrc = Some(ssrc);
            self.stranger = None;
            return Some(false);
        }
        let stranger = Stranger { ssrc, payload_type };
        let seen = self.stranger.filter(|(known, _)| *known == stranger).map_or(0, |(_, seen)| seen) + 1;
        self.stranger = Some((stranger, seen));
        if seen < PROBATION || !self.change(payload_type) {
            health.discard();
            return None;
        }
        (self.ssrc, self.sequence, self.stranger) = (Some(ssrc), None, None);
        self.depacketizer = Depacketizer::new(self.info.codec);
        Some(true)
    }

    /// Goes over to another payload type, where that is one of the same kind and clock; false where it is not.
    fn change(&mut self, payload_type: u8) -> bool {
        if payload_type == self.payload_type {
            return true;
        }
        let Some(format) = self.formats.iter().find(|format| format.payload_type == payload_type).copied()
        else {
            return false;
        };
        let is_alike = format.codec.kind() == self.info.codec.kind()
            && format.clock_rate == self.info.clock_rate
            // Its configuration is told nowhere but in the description, of the payload type that stands first.
            && format.codec != Codec::Aac;
        if !is_alike {
            return false;
        }
        self.payload_type = payload_type;
        if format.codec != self.info.codec {
            self.form = Form::new(format.codec);
            self.order = Order::Kept;
            let info = &mut self.info;
            (info.codec, info.width, info.height, info.reordered) = (format.codec, 0, 0, false);
            info.configuration = Bytes::new();
        }
        true
    }

    fn count_lost(&mut self, sequence: u16, health: &Health) {
        let gap = self.sequence.map_or(0, |last| sequence.wrapping_sub(last.wrapping_add(1)));
        if gap < MOST_LOST {
            health.lose(u64::from(gap));
        }
        // A packet that comes late, or again, does not take the count back.
        if gap < MOST_LOST || gap < u16::MAX - 100 {
            self.sequence = Some(sequence);
        }
    }

    /// Brings a unit into the hub's form, and learns from it.
    fn shape(&mut self, unit: &Unit) -> Result<Shaped, HeaderError> {
        let (data, key) = match &mut self.form {
            Form::NalUnits(sets) => {
                let Normalised { data, key, configuration } = sets.normalise(&unit.data)?;
                if let Some(configuration) = configuration {
                    let format = sets.format()?;
                    (self.info.width, self.info.height) = (format.width, format.height);
                    self.info.configuration = configuration;
                    self.learn_order();
                }
                (data, key)
            }
            Form::Av1(sequence) => {
                let Normalised { data, key, configuration } = sequence.normalise(&unit.data)?;
                if let Some(configuration) = configuration {
                    let format = sequence.header().ok_or(HeaderError::NoParameterSets)??.format();
                    (self.info.width, self.info.height) = (format.width, format.height);
                    self.info.configuration = configuration;
                }
                (data, key)
            }
            Form::Vp8 => (unit.data.clone(), learn_vp8(&mut self.info, &unit.data)?),
            Form::Vp9 => (unit.data.clone(), learn_vp9(&mut self.info, &unit.data)?),
            Form::Plain => {
                if self.info.codec == Codec::Opus {
                    self.info.channels = self.info.channels.max(OpusPacket::parse(&unit.data)?.channels);
                }
                (unit.data.clone(), true)
            }
        };
        let bidirectional =
            self.order == Order::Unsaid && self.info.codec == Codec::H264 && h264::is_bidirectional(&data)?;
        Ok(Shaped { timestamp: unit.timestamp, key, data, bidirectional })
    }

    /// What the parameter sets say of the order of pictures. H.264 need not say it.
    fn learn_order(&mut self) {
        let Form::NalUnits(sets) = &self.form else { return };
        let Some(sps) = sets.sps() else { return };
        let order = match self.info.codec {
            Codec::H264 => h264::Sps::parse(sps).map(|sps| match sps.max_reorder {
                _ if !sps.reordered() => Order::Kept,
                Some(depth) => Order::Changed(depth_of(depth)),
                None => Order::Unsaid,
            }),
            _ => h265::Sps::parse(sps).map(|sps| match sps.max_reorder {
                0 => Order::Kept,
                depth => Order::Changed(depth_of(depth)),
            }),
        };
        let order = order.unwrap_or(Order::Unsaid);
        // Parameter sets that come again do not take back what was seen.
        if !(order == Order::Unsaid && matches!(self.order, Order::Changed(_))) {
            self.order = order;
        }
        self.info.reordered = matches!(self.order, Order::Changed(_));
    }
}

fn depth_of(depth: u32) -> usize {
    usize::try_from(depth).unwrap_or(USUAL_DEPTH).clamp(1, 16)
}

impl Form {
    fn new(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::NalUnits(ParameterSets::h264()),
            Codec::H265 => Self::NalUnits(ParameterSets::h265()),
            Codec::Av1 => Self::Av1(Sequence::default()),
            Codec::Vp8 => Self::Vp8,
            Codec::Vp9 => Self::Vp9,
            Codec::Aac | Codec::Opus | Codec::Pcma | Codec::Pcmu => Self::Plain,
        }
    }
}

fn learn_vp8(info: &mut TrackInfo, unit: &Bytes) -> Result<bool, HeaderError> {
    let vp8::FrameHeader::Key { width, height } = vp8::FrameHeader::parse(unit)? else { return Ok(false) };
    (info.width, info.height) = (width, height);
    Ok(true)
}

fn learn_vp9(info: &mut TrackInfo, unit: &Bytes) -> Result<bool, HeaderError> {
    let Some(key) = vp9::FrameHeader::parse(unit)?.key else { return Ok(false) };
    (info.width, info.height) = (key.width, key.height);
    Ok(true)
}
