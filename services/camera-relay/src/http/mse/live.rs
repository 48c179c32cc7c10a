//! What one page gets while the camera has tracks: units of pictures and sound as fragments, each picture as soon as it is there.

use super::{
    counters::Counters,
    lane::{LEADING, Lane, Opening},
    playing::Step,
};
use patchbay_fmp4::{Description, MuxError, Muxer, Sample};
use patchbay_media::{AccessUnit, Kind, MediaTime, hub::Selected, ring::Read, track::Track};
use std::{future::pending, sync::Arc, time::Duration};

/// Sound waits so long for a picture to go with, so that there is one message for both.
const WITH_PICTURE: Duration = Duration::from_millis(100);

/// Most units that are gathered for one fragment; a ring holds fewer.
const MOST: usize = 4096;

/// Tracks that were given together.
pub(super) struct Live {
    lead: Lane,
    /// Sound beside pictures; read from where they begin.
    sound: Option<Arc<Track>>,
    beside: Option<Lane>,
    muxer: Option<Muxer>,
    /// Where the first unit comes on the page's line of time, which goes on whatever the camera's does.
    begin: MediaTime,
    /// Nanoseconds from the camera's line to the page's, once a unit has come.
    shift: Option<i64>,
    /// Something was left out before the next unit.
    broken: bool,
    held: Vec<Sample>,
    end: MediaTime,
}

impl Live {
    /// Of what the hub has chosen; none where that is nothing.
    pub(super) fn of(selected: &Selected, begin: MediaTime, opening: Opening) -> Option<Self> {
        let (lead, sound) = match (&selected.video, &selected.audio) {
            (Some(video), audio) => (video, audio.clone()),
            (None, Some(audio)) => (audio, None),
            (None, None) => return None,
        };
        Some(Self {
            lead: Lane::leading(lead, opening),
            sound,
            beside: None,
            muxer: None,
            begin,
            shift: None,
            broken: false,
            held: Vec::new(),
            end: begin,
        })
    }

    /// Where what was written ends, on the page's line of time.
    pub(super) fn end(&self) -> MediaTime {
        self.end
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self, counters: &Counters) -> Vec<Step> {
        loop {
            let Self { lead, beside, .. } = self;
            tokio::select! {
                biased;
                read = lead.next() => self.take(&read, counters),
                read = next_of(beside) => self.take_beside(&read),
            }
            self.gather(counters);
            if self.is_due() {
                let steps = self.write(counters);
                if !steps.is_empty() {
                    return steps;
                }
            }
        }
    }

    /// Everything that is there goes into one fragment: at the start all since the key frame, and later what a slow page has left.
    fn gather(&mut self, counters: &Counters) {
        while self.held.len() < MOST
            && let Some(read) = self.lead.try_next()
        {
            self.take(&read, counters);
        }
        while self.held.len() < MOST
            && let Some(read) = self.beside.as_mut().and_then(Lane::try_next)
        {
            self.take_beside(&read);
        }
    }

    fn take(&mut self, read: &Read<AccessUnit>, counters: &Counters) {
        let unit = &read.entry.item;
        let is_first = self.shift.is_none();
        if is_first {
            self.shift = Some(self.begin.nanos().saturating_sub(unit.dts.nanos()));
        }
        let is_broken = std::mem::take(&mut self.broken) || (!is_first && read.skipped > 0);
        if is_broken {
            counters.skipped();
            self.held.clear();
            self.lead.begin_anew();
            // The page is told, or it would take the gap in the sound for one in the pictures too, and wait for another key frame.
            self.muxer = None;
        }
        if is_first || is_broken {
            self.beside = self.sound.as_ref().map(|sound| Lane::beside(sound, unit.pts));
        }
        let unit = self.shifted(unit.clone());
        self.held.push(self.lead.sample(unit));
    }

    fn take_beside(&mut self, read: &Read<AccessUnit>) {
        let unit = self.shifted(read.entry.item.clone());
        if let Some(beside) = &mut self.beside {
            self.held.push(beside.sample(unit));
        }
    }

    fn shifted(&self, unit: AccessUnit) -> AccessUnit {
        let shift = self.shift.unwrap_or_default();
        let move_time = |time: MediaTime| MediaTime::from_nanos(time.nanos().saturating_add(shift));
        AccessUnit { dts: move_time(unit.dts), pts: move_time(unit.pts), ..unit }
    }

    fn is_due(&self) -> bool {
        let has_picture = self.sound.is_some() || self.lead.info().codec.kind() == Kind::Video;
        if has_picture && self.held.iter().any(|sample| sample.unit.track == LEADING) {
            return true;
        }
        let (Some(first), Some(last)) = (self.held.first(), self.held.last()) else { return false };
        (last.unit.pts + last.duration).since(first.unit.pts) >= WITH_PICTURE
    }

    fn write(&mut self, counters: &Counters) -> Vec<Step> {
        let samples = std::mem::take(&mut self.held);
        match self.steps(&samples) {
            Ok(steps) => {
                let ends = samples.iter().map(|sample| sample.unit.pts + sample.duration);
                self.end = ends.fold(self.end, MediaTime::max);
                steps
            }
            Err(error) => {
                tracing::debug!(%error, "units could not be written for a page");
                counters.skipped();
                self.lead.wait_for_key();
                self.broken = true;
                Vec::new()
            }
        }
    }

    fn steps(&mut self, samples: &[Sample]) -> Result<Vec<Step>, MuxError> {
        if let Some(muxer) = &mut self.muxer {
            match muxer.fragment(samples) {
                Err(MuxError::Changed(_)) => {}
                written => return Ok(vec![Step::Fragment(written?)]),
            }
        }
        self.begin_with(samples)
    }

    /// Begins anew with the newest key frame among units, or the first one.
    fn begin_with(&mut self, samples: &[Sample]) -> Result<Vec<Step>, MuxError> {
        let is_key = |sample: &&Sample| sample.unit.track == LEADING && sample.unit.key;
        let mut keys = samples.iter().filter(is_key);
        let key = if self.muxer.is_some() { keys.next_back() } else { keys.next() };
        let key = key.ok_or(MuxError::NotDescribed(self.lead.info().codec))?;
        let mut described = vec![Description::of(&self.lead.info(), Some(&key.unit.data))?];
        if let Some(beside) = &self.beside {
            match Description::of(&beside.info(), None) {
                Ok(sound) => described.push(sound),
                Err(error) => {
                    tracing::debug!(%error, "a page gets no sound");
                    (self.sound, self.beside) = (None, None);
                }
            }
        }
        let mut muxer = Muxer::with(described)?;
        let is_meant = |sample: &&Sample| {
            let lasts = sample.unit.track == LEADING || self.beside.is_some();
            lasts && sample.unit.dts >= key.unit.dts
        };
        let kept: Vec<_> = samples.iter().filter(is_meant).cloned().collect();
        let fragment = muxer.fragment(&kept)?;
        let start = Step::Start { mime: muxer.mime().to_owned(), init: muxer.init() };
        self.muxer = Some(muxer);
        Ok(vec![start, Step::Fragment(fragment)])
    }
}

async fn next_of(lane: &mut Option<Lane>) -> Read<AccessUnit> {
    match lane {
        Some(lane) => lane.next().await,
        None => pending().await,
    }
}
