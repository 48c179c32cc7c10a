//! The table: every figure with its peers, its bar, and whether it is met. A figure that misses its bar stays, with its value.

use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// All figures, in the order in which they were first measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Measured>,
    /// What could not be measured, and why: of a part that has failed in a round, the other rounds and the other parts stay.
    failures: Vec<String>,
}

/// What a figure is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    /// A peer in the same run, or what is known from elsewhere.
    reference: String,
    bar: Bar,
    over: Over,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Bar {
    /// It is there to be read beside another one.
    None,
    AtMost(f64),
    Exactly(f64),
}

/// What becomes of the values of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Over {
    Median,
    /// The largest, where something must never happen.
    Worst,
}

#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    figure: Figure,
    rounds: Vec<f64>,
    /// The same of others, in the same rounds.
    peers: BTreeMap<&'static str, Vec<f64>>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, reference: String::new(), bar: Bar::None, over: Over::Median }
    }

    pub(crate) fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    pub(crate) fn at_most(mut self, most: f64) -> Self {
        self.bar = Bar::AtMost(most);
        self
    }

    pub(crate) fn exactly(mut self, value: f64) -> Self {
        self.bar = Bar::Exactly(value);
        self
    }

    /// Of all rounds the largest value counts.
    pub(crate) fn worst(mut self) -> Self {
        self.over = Over::Worst;
        self
    }
}

impl Report {
    /// A figure's value in this round.
    pub(crate) fn add(&mut self, figure: Figure, value: f64) {
        self.measured(figure).rounds.push(value);
    }

    /// The same of a peer, which stands beside ours where that was measured in this run too.
    pub(crate) fn add_peer(&mut self, figure: Figure, peer: &'static str, value: f64) {
        self.measured(figure).peers.entry(peer).or_default().push(value);
    }

    fn measured(&mut self, figure: Figure) -> &mut Measured {
        let known = self.figures.iter().position(|measured| measured.figure.name == figure.name);
        let place = known.unwrap_or_else(|| {
            self.figures.push(Measured { figure, rounds: Vec::new(), peers: BTreeMap::new() });
            self.figures.len() - 1
        });
        &mut self.figures[place]
    }

    /// A part that has failed in this round.
    pub(crate) fn add_failure(&mut self, failure: String) {
        self.failures.push(failure);
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl Measured {
    /// What is known, and what peers have reached in the same run.
    fn reference(&self) -> String {
        let peers =
            self.peers.iter().map(|(peer, rounds)| format!("{peer} {}", shown(median(&mut rounds.clone()))));
        let known = Some(self.figure.reference.clone()).filter(|known| !known.is_empty());
        known.into_iter().chain(peers).collect::<Vec<_>>().join("; ")
    }

    fn value(&self) -> f64 {
        match self.figure.over {
            Over::Median => median(&mut self.rounds.clone()),
            Over::Worst => self.rounds.iter().copied().fold(f64::NAN, f64::max),
        }
    }

    /// The value with its unit; nothing where only peers were measured.
    fn cell(&self) -> String {
        if self.rounds.is_empty() {
            return String::new();
        }
        format!("{} {}", shown(self.value()), self.figure.unit)
    }

    fn verdict(&self) -> &'static str {
        if self.rounds.is_empty() {
            return "";
        }
        let value = self.value();
        let is_met = match self.figure.bar {
            Bar::None => return "",
            Bar::AtMost(most) => value <= most,
            // All rounds, not their median.
            Bar::Exactly(expected) => self.rounds.iter().all(|round| (round - expected).abs() < f64::EPSILON),
        };
        if is_met { "met" } else { "**missed**" }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Exactly(value) => write!(f, "exactly {value}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | value | peer or reference | bar | met? |\n|---|---|---|---|---|")?;
        for measured in &self.figures {
            let Figure { name, bar, .. } = &measured.figure;
            let (value, reference, verdict) = (measured.cell(), measured.reference(), measured.verdict());
            writeln!(f, "| {name} | {value} | {reference} | {bar} | {verdict} |")?;
        }
        self.failures.iter().try_for_each(|failure| writeln!(f, "\nNot measured: {failure}"))
    }
}

/// Three digits that count, or all before the point.
fn shown(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    // Less than what is shown, below nothing.
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The middle one; of an even number the mean of both.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value below which a part of them lies, between neighbours in proportion.
pub(crate) fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return f64::NAN;
    }
    #[expect(clippy::cast_precision_loss, reason = "few values")]
    let place = part * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the length")]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_held_against_the_median_or_the_worst() {
        let mut report = Report::default();
        for value in [10.0, 200.0, 30.0] {
            report.add(Figure::new("usual", "ms").at_most(30.0), value);
            report.add(Figure::new("never", "ms").at_most(100.0).worst(), value);
            report.add(Figure::new("captures", "").exactly(1.0), 1.0);
            let figure = Figure::new("beside", "us").reference("str0m 2");
            report.add(figure.clone(), value / 10_000.0);
            report.add_peer(figure, "aiortc", value);
            report.add_peer(Figure::new("of others", "ms").at_most(1.0), "aiortc", value);
        }
        let table = report.to_string();
        assert!(table.contains("| usual | 30 ms |  | <= 30 | met |"), "{table}");
        assert!(table.contains("| never | 200 ms |  | <= 100 | **missed** |"), "{table}");
        assert!(table.contains("| captures | 1  |  | exactly 1 | met |"), "{table}");
        assert!(table.contains("| beside | 0.003 us | str0m 2; aiortc 30 |  |  |"), "{table}");
        assert!(table.contains("| of others |  | aiortc 30 | <= 1 |  |"), "{table}");
    }

    #[test]
    fn numbers_are_as_long_as_they_say_something() {
        for (value, text) in
            [(-0.0003, "0"), (0.0123, "0.012"), (1.5, "1.5"), (-12.34, "-12.3"), (250.4, "250")]
        {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn a_figure_that_was_not_measured_misses_its_bar() {
        let mut report = Report::default();
        report.add(Figure::new("nothing", "ms").at_most(30.0), f64::NAN);
        assert!(report.to_string().contains("**missed**"));
    }
}
