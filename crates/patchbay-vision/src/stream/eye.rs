//! Looks at the pictures of a stream at its own pace and tells of motion.

use super::VisionFigures;
use crate::{
    VisionError,
    motion::{Change, Detector, Events, MotionSeen, MotionSettings, MotionSink, Moving},
};
use bytes::Bytes;
use patchbay_av::{JpegEncoder, Picture, PictureSize, Quality, Scaler};
use patchbay_media::MediaTime;
use std::{sync::Arc, time::Duration};

/// Widest JPEG that is told.
const WIDEST: u32 = 640;
/// How good it is.
const QUALITY: u8 = 75;
/// A picture that comes so little before its turn is looked at: times of pictures are not even.
const EARLY: Duration = Duration::from_millis(10);
/// Longer than the hold by so much without a picture, and nobody can say any more that something still moves.
const UNSEEN: Duration = Duration::from_secs(15);

/// Looks at pictures.
pub(super) struct Eye {
    detector: Detector,
    events: Events,
    sink: Arc<dyn MotionSink>,
    figures: Arc<VisionFigures>,
    jpeg: JpegEncoder,
    scaler: Scaler,
    every: Duration,
    hold: Duration,
    due: Option<MediaTime>,
    /// The last picture's place on the line, and its time in milliseconds since 1970.
    newest: (MediaTime, u64),
    /// When the last motion was told to have begun, in milliseconds since 1970.
    began: u64,
    anew: u64,
    failed: bool,
}

impl Eye {
    pub(super) fn new(
        settings: &MotionSettings,
        sink: Arc<dyn MotionSink>,
        figures: Arc<VisionFigures>,
    ) -> Result<Self, VisionError> {
        Ok(Self {
            detector: Detector::new(settings.clone())?,
            events: Events::new(settings.hold),
            sink,
            figures,
            jpeg: JpegEncoder::new(Quality::new(QUALITY)?),
            scaler: Scaler::new(),
            every: Duration::from_secs(1) / settings.rate.max(1),
            hold: settings.hold,
            due: None,
            newest: (MediaTime::ZERO, 0),
            began: 0,
            anew: 0,
            failed: false,
        })
    }

    /// Whether a picture of this time is looked at.
    pub(super) fn is_due(&self, at: MediaTime) -> bool {
        self.due.is_none_or(|due| at + EARLY >= due)
    }

    /// A picture, and its time in milliseconds since 1970.
    pub(super) fn see(&mut self, picture: &Picture, at: MediaTime, unix_ms: u64) {
        if !self.is_due(at) {
            return;
        }
        // From turn to turn, not from picture to picture, so that the rate is kept; after a pause from here.
        let next = self.due.map_or(at, |due| due) + self.every;
        self.due = Some(if next + EARLY <= at { at + self.every } else { next });
        self.newest = (at, unix_ms);
        self.figures.add_look();
        match self.detector.look(picture, at) {
            Ok(sight) => {
                let change = self.events.see(sight, at);
                self.tell(change, Some(picture));
            }
            Err(error) => self.fail(&error),
        }
        let anew = self.detector.anew();
        self.figures.add_anew(anew - self.anew);
        self.anew = anew;
    }

    /// A unit of that time has come, whatever comes of it: where nothing could be decoded for long, what is on ends with what was seen last.
    pub(super) fn pass(&mut self, at: MediaTime) {
        if at.since(self.newest.0) > self.hold + UNSEEN {
            let change = self.events.end();
            self.tell(change, None);
        }
    }

    /// Nothing more will be seen.
    pub(super) fn close(&mut self) {
        let change = self.events.end();
        self.tell(change, None);
        self.due = None;
    }

    fn fail(&mut self, error: &VisionError) {
        if self.failed {
            return;
        }
        self.failed = true;
        self.figures.add_blind();
        tracing::warn!(%error, "cannot look for motion in a picture");
        self.sink.blind(&error.to_string());
    }

    fn tell(&mut self, change: Option<Change>, picture: Option<&Picture>) {
        let seen = match change {
            Some(Change::Began { at, moving }) => self.began(at, moving, picture),
            // From what was told before, so that the two fit even where the clock was set in between.
            Some(Change::Ended { lasted, .. }) => {
                let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
                MotionSeen::Ended { at: self.began.saturating_add(lasted_ms), lasted }
            }
            None => return,
        };
        self.sink.motion(seen);
    }

    fn began(&mut self, at: MediaTime, moving: Moving, picture: Option<&Picture>) -> MotionSeen {
        let shot = picture.and_then(|picture| self.shot(picture));
        let (picture, size) = shot.map_or_else(|| (Bytes::new(), None), |(jpeg, size)| (jpeg, Some(size)));
        self.began = self.unix(at);
        MotionSeen::Began {
            at: self.began,
            zones: moving.zones,
            score: moving.score,
            boxes: moving.boxes,
            picture,
            width: size.map_or(0, PictureSize::width),
            height: size.map_or(0, PictureSize::height),
        }
    }

    fn shot(&mut self, picture: &Picture) -> Option<(Bytes, PictureSize)> {
        let size = picture.size().scaled_to_width(WIDEST);
        let small = self.scaler.scale(picture, size);
        match small.and_then(|small| self.jpeg.encode(&small)) {
            Ok(jpeg) => Some((jpeg, size)),
            Err(error) => {
                tracing::warn!(%error, "motion is told without a picture");
                None
            }
        }
    }

    /// Milliseconds since 1970 of a time that is not after the newest picture's.
    fn unix(&self, at: MediaTime) -> u64 {
        let (newest, unix_ms) = self.newest;
        unix_ms.saturating_sub(u64::try_from(newest.since(at).as_millis()).unwrap_or(0))
    }
}

impl Drop for Eye {
    /// What is on has ended, whatever the reason.
    fn drop(&mut self) {
        self.close();
    }
}
