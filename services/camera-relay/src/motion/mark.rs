//! A motion as it is kept: when something moved before a camera, where, and how clearly.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// Digits of the time in an id: enough until the year 5138, and ids of equal length are in the order of their times.
const DIGITS: usize = 14;

/// Digits that tell motions of one moment apart.
const RANDOM: usize = 8;

/// How long a motion counts as going on after its last sign of life. Three times the pause between two signs, so that one may be lost.
pub(super) const BELIEVED: Duration = Duration::from_secs(15);

/// Id of a motion: its time in milliseconds since 1970, and random digits. The order of ids is that of their times. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MotionId(Arc<str>);

/// Why a text is no id of a motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a motion")]
pub struct MotionIdError;

impl MotionId {
    /// The id of a motion that began then; `random` is hexadecimal.
    pub(super) fn new(began: u64, random: &str) -> Self {
        Self(format!("{began:0DIGITS$}-{random:0>RANDOM$}").into())
    }

    /// Digits of [`Self::new`]'s `random`.
    pub(super) const RANDOM: usize = RANDOM;

    /// A text before all ids of that time and after all that are older.
    pub(super) fn before(millis: u64) -> String {
        format!("{millis:0DIGITS$}")
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MotionId {
    type Err = MotionIdError;

    fn from_str(text: &str) -> Result<Self, MotionIdError> {
        let (time, random) = text.split_once('-').ok_or(MotionIdError)?;
        let is_good = time.len() == DIGITS
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && random.len() == RANDOM
            && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_good.then(|| Self(text.into())).ok_or(MotionIdError)
    }
}

impl TryFrom<String> for MotionId {
    type Error = MotionIdError;

    fn try_from(text: String) -> Result<Self, MotionIdError> {
        text.parse()
    }
}

impl From<MotionId> for String {
    fn from(id: MotionId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for MotionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is kept of a motion; its id and its camera are the row's key. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When it began.
    pub began: u64,
    /// When it ended, where that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Its last sign of life; a replica that dies writes no end.
    pub seen: u64,
    /// Zones in which it was seen; empty where the camera has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How clear it was, 0 to 1.
    pub score: f64,
    /// A picture was kept of it.
    #[serde(default)]
    pub picture: bool,
    /// The replica that saw it.
    pub node: String,
}

impl Mark {
    /// When it ended, as it is shown: one whose end was never written ended with its last sign of life, once that is old.
    pub fn shown_end(&self, now: u64) -> Option<u64> {
        self.ended.or_else(|| (now > self.believed_until()).then_some(self.seen))
    }

    /// Until when it may have gone on.
    pub(super) fn may_last_until(&self) -> u64 {
        self.ended.unwrap_or_else(|| self.believed_until())
    }

    fn believed_until(&self) -> u64 {
        self.seen.saturating_add(millis(BELIEVED))
    }
}

/// A span as times are counted here.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_times() {
        let ids: Vec<MotionId> = [1, 999, 1_800_000_000_000, 99_999_999_999_999]
            .map(|began| MotionId::new(began, "00c0ffee"))
            .to_vec();
        assert!(ids.is_sorted(), "{ids:?}");
        for id in &ids {
            assert_eq!(id.as_str().parse().as_ref(), Ok(id));
        }
        assert!(MotionId::before(999).as_str() < ids[1].as_str());
        assert!(MotionId::before(1000).as_str() > ids[1].as_str());
        for bad in
            ["", "1-00c0ffee", "00000000000001-00C0FFEE", "00000000000001-00c0ffee/", "../../etc/passwd"]
        {
            assert_eq!(bad.parse::<MotionId>(), Err(MotionIdError), "{bad}");
        }
    }

    #[test]
    fn a_motion_without_an_end_has_ended_when_nothing_was_heard_of_it() {
        let mark = Mark {
            began: 1000,
            ended: None,
            seen: 6000,
            zones: Vec::new(),
            score: 0.5,
            picture: false,
            node: "one".to_owned(),
        };
        assert_eq!(mark.shown_end(6000 + millis(BELIEVED)), None);
        assert_eq!(mark.shown_end(6001 + millis(BELIEVED)), Some(6000));
        assert_eq!(Mark { ended: Some(5000), ..mark }.shown_end(0), Some(5000));
    }
}
