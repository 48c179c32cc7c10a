//! The device's clock. A login carries the time, and devices whose clock is wrong refuse the right one: what they get is told in their own time.

use super::tree::Element;
use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

/// How far the device's clock is ahead of ours, in milliseconds; negative when it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceClock {
    ahead: i64,
}

impl DeviceClock {
    /// From the answer to `GetSystemDateAndTime`; none where the time in it is none. `now` is in milliseconds since 1970, as everywhere here.
    pub(super) fn read(answer: &Element, now: i64) -> Option<Self> {
        let utc = answer.at(&["SystemDateAndTime", "UTCDateTime"])?;
        let number = |way: &[&str]| utc.text_at(way).parse::<i16>().ok();
        let small = |way: &[&str]| utc.text_at(way).parse::<i8>().ok();
        let date =
            Date::new(number(&["Date", "Year"])?, small(&["Date", "Month"])?, small(&["Date", "Day"])?);
        let (hour, minute) = (small(&["Time", "Hour"])?, small(&["Time", "Minute"])?);
        // Some count leap seconds.
        let second = small(&["Time", "Second"])?.min(59);
        let time = Time::new(hour, minute, second, 0).ok()?;
        let told = date.ok()?.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Self { ahead: told.as_millisecond().checked_sub(now)? })
    }

    /// What the clock shows now, as logins have it.
    pub(super) fn shows(self, now: i64) -> String {
        let shown =
            Timestamp::from_millisecond(now.saturating_add(self.ahead)).unwrap_or(Timestamp::UNIX_EPOCH);
        shown.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05Z.
    const NOW: i64 = 1_767_323_045_000;

    fn clock(year: &str, second: &str) -> Option<DeviceClock> {
        let answer = format!(
            "<r><SystemDateAndTime><UTCDateTime><Time><Hour>23</Hour><Minute>59</Minute><Second>{second}</Second></Time><Date><Year>{year}</Year><Month>12</Month><Day>31</Day></Date></UTCDateTime></SystemDateAndTime></r>"
        );
        DeviceClock::read(&Element::read(&answer).unwrap(), NOW)
    }

    #[test]
    fn logins_are_in_the_time_of_the_device() {
        assert_eq!(DeviceClock::default().shows(NOW), "2026-01-02T03:04:05Z");
        assert_eq!(clock("1999", "30").unwrap().shows(NOW + 10_000), "1999-12-31T23:59:40Z");
        assert_eq!(clock("2030", "60").unwrap().shows(NOW), "2030-12-31T23:59:59Z");
    }

    #[test]
    fn a_time_that_is_none_is_left_out() {
        for (year, second) in [("", "0"), ("99999", "0"), ("2026", "-1"), ("2026", "x"), ("-32768", "0")] {
            assert_eq!(clock(year, second), None, "{year} {second}");
        }
        assert_eq!(DeviceClock::read(&Element::default(), NOW), None);
    }
}
