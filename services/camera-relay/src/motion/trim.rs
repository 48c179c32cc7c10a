//! What is removed so that the motions of a camera stay within their bounds. No I/O.

use super::{
    mark::{MotionId, millis},
    store::Kept,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much is kept of each camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Motions.
    pub(super) max_kept: usize,
    /// Those of them with a picture.
    pub(super) max_pictures: usize,
    /// Age.
    pub(super) keep_for: Duration,
}

/// What is known of a camera's rows without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    /// Motions.
    pub(super) kept: usize,
    /// Pictures.
    pub(super) pictures: usize,
    /// Up to this motion no picture is kept: the oldest go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bare: Option<MotionId>,
}

impl Head {
    /// Whether a picture of that motion may be kept: one that comes late may be older than all that are.
    pub(super) fn may_have_picture(&self, id: &MotionId) -> bool {
        self.bare.as_ref().is_none_or(|bare| id > bare)
    }
}

/// What a commit changes beside what it adds.
#[derive(Debug)]
pub(super) struct Plan {
    /// The head as it is afterwards.
    pub(super) head: Head,
    /// Motions that go.
    pub(super) removed: Vec<MotionId>,
    /// Motions whose picture goes.
    pub(super) without_picture: Vec<MotionId>,
    /// The motion that comes, where it comes with a picture.
    coming: Option<MotionId>,
    max_pictures: usize,
}

/// What comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coming<'a> {
    /// Nothing.
    Nothing,
    /// A motion without a picture.
    Bare,
    /// This one, with a picture.
    WithPicture(&'a MotionId),
}

/// Decides what goes when a motion comes, or to bring down what is there. `oldest` are the first rows of the camera; what is not among them goes another time.
pub(super) fn plan(head: Head, oldest: &[Kept], limits: Limits, now: u64, coming: Coming<'_>) -> Plan {
    let (motions, picture) = match coming {
        Coming::Nothing => (0, None),
        Coming::Bare => (1, None),
        Coming::WithPicture(id) => (1, Some(id.clone())),
    };
    let mut plan = Plan {
        head: Head {
            kept: head.kept + motions,
            pictures: head.pictures + usize::from(picture.is_some()),
            bare: head.bare,
        },
        removed: Vec::new(),
        without_picture: Vec::new(),
        coming: picture,
        max_pictures: limits.max_pictures,
    };
    let too_old = now.saturating_sub(millis(limits.keep_for));
    let mut rest = oldest;
    while let Some((first, others)) = rest.split_first()
        && (plan.head.kept > limits.max_kept || first.1.began < too_old || limits.max_kept == 0)
    {
        plan.remove(first);
        rest = others;
    }
    plan.pictures_of(rest);
    plan
}

impl Plan {
    /// There are still too many pictures: more rows must be looked at.
    pub(super) fn needs_more(&self) -> bool {
        self.head.pictures > self.max_pictures
    }

    /// Takes pictures away from the oldest of these rows, as long as there are too many.
    pub(super) fn pictures_of(&mut self, rows: &[Kept]) {
        for row in rows {
            // A motion that comes late may be the oldest with a picture.
            if self.needs_more()
                && let Some(coming) = self.coming.take_if(|coming| *coming < row.0)
            {
                self.head.pictures = self.head.pictures.saturating_sub(1);
                self.is_bare(&coming);
            }
            if !self.needs_more() {
                return;
            }
            self.take_picture(row);
            self.is_bare(&row.0);
        }
    }

    /// Whether the picture that comes is kept.
    pub(super) fn keeps_coming(&self) -> bool {
        self.coming.is_some()
    }

    fn remove(&mut self, row: &Kept) {
        self.take_picture(row);
        self.is_bare(&row.0);
        self.removed.push(row.0.clone());
        self.head.kept = self.head.kept.saturating_sub(1);
    }

    /// Rows come oldest first, so that none up to this one has a picture any more.
    fn is_bare(&mut self, id: &MotionId) {
        if self.head.may_have_picture(id) {
            self.head.bare = Some(id.clone());
        }
    }

    fn take_picture(&mut self, (id, mark): &Kept) {
        if mark.picture && self.head.may_have_picture(id) {
            self.without_picture.push(id.clone());
            self.head.pictures = self.head.pictures.saturating_sub(1);
        }
    }
}
