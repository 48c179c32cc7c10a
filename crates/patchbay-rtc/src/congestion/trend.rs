//! Whether packets take longer and longer: the slope of their delay.
//!
//! As in draft-ietf-rmcat-gcc-02, sections 5.2 to 5.4, with a line fitted to the newest points instead of a Kalman filter, as its authors do today.

use super::ledger::Arrival;
use std::collections::VecDeque;

/// Packets that were sent within this are one group, in microseconds: they queue behind each other, whatever the network does.
const GROUP: i64 = 5_000;

/// Points of the line.
const POINTS: usize = 20;

/// Part of the past in the smoothed delay.
const SMOOTHING: f64 = 0.8;

#[derive(Debug, Default)]
pub(super) struct Trend {
    group: Option<Group>,
    before: Option<Group>,
    /// Milliseconds that groups have been delayed more than the first one.
    delay: f64,
    smoothed: f64,
    /// Arrival in milliseconds, and smoothed delay.
    points: VecDeque<(f64, f64)>,
    begun: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: i64,
    last_sent: i64,
    last_arrived: i64,
}

impl Trend {
    pub(super) fn arrival(&mut self, arrival: Arrival) {
        match &mut self.group {
            Some(group) if arrival.sent.saturating_sub(group.first_sent) <= GROUP => {
                group.last_sent = group.last_sent.max(arrival.sent);
                group.last_arrived = group.last_arrived.max(arrival.arrived);
            }
            _ => {
                let next = Group {
                    first_sent: arrival.sent,
                    last_sent: arrival.sent,
                    last_arrived: arrival.arrived,
                };
                if let Some(complete) = self.group.replace(next) {
                    self.complete(complete);
                }
            }
        }
    }

    fn complete(&mut self, group: Group) {
        let begun = *self.begun.get_or_insert(group.last_arrived);
        let Some(before) = self.before.replace(group) else { return };
        let sent = group.last_sent.saturating_sub(before.last_sent);
        let arrived = group.last_arrived.saturating_sub(before.last_arrived);
        self.delay += millis(arrived.saturating_sub(sent));
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((millis(group.last_arrived.saturating_sub(begun)), self.smoothed));
    }

    /// Seconds that the delay grows in a second; 0 until that is known.
    pub(super) fn slope(&self) -> f64 {
        if self.points.len() < POINTS {
            return 0.0;
        }
        let count = f64::from(u32::try_from(self.points.len()).unwrap_or(u32::MAX));
        let (x, y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (x, y) = (x / count, y / count);
        let (mut above, mut below) = (0.0, 0.0);
        for (at, delay) in &self.points {
            above += (at - x) * (delay - y);
            below += (at - x) * (at - x);
        }
        if below > 0.0 { above / below } else { 0.0 }
    }
}

fn millis(micros: i64) -> f64 {
    f64::from(i32::try_from(micros).unwrap_or(if micros < 0 { i32::MIN } else { i32::MAX })) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(delay: impl Fn(i64) -> i64) -> f64 {
        let mut trend = Trend::default();
        for number in 0..40 {
            let sent = number * 33_000;
            for packet in 0..3 {
                trend.arrival(Arrival {
                    sent: sent + packet * 100,
                    arrived: sent + delay(number),
                    size: 1000,
                });
            }
        }
        trend.slope()
    }

    #[test]
    fn a_queue_that_grows_has_a_slope_and_noise_has_none() {
        let (growing, even) = (slope(|number| number * 6_600), slope(|_| 50_000));
        let noise = slope(|number| (number * 7_919 % 11) * 1_000);
        println!("growing {growing:.3}, even {even:.3}, noise {noise:.3}");
        // The delay grows 6.6 ms each 39.6 ms of arrival.
        assert!((growing - 0.167).abs() < 0.03 && even.abs() < 0.001 && noise.abs() < 0.05);
    }
}
