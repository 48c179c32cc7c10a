//! Golden transcripts: what goes to a server and what must come back, in a text that people read.
//!
//! `> ` sends a line, `< ` expects one. In what is expected, the string `"*"` stands for any value and `"*WORD"`
//! for a value that must be the same wherever that word appears; objects must have exactly the same members.
//! An array that begins with `"*in any order"` is compared as a set. A number in front, `2> `, names another connection; `#` begins a comment.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// First element of an array that is compared as a set.
const ANY_ORDER: &str = "*in any order";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which connection; 1 where none is named.
    pub connection: usize,
    /// What happens on it.
    pub action: Action,
}

/// What happens on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The client sends this.
    Send(String),
    /// The server must send this.
    Expect(Value),
    /// The client closes.
    Close,
}

/// Parses a transcript.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse_step(line).with_context(|| format!("in the line {line}"))).collect()
}

fn parse_step(line: &str) -> Result<Step> {
    let digits = line.find(|c: char| !c.is_ascii_digit()).context("the line has only a number")?;
    let (number, rest) = line.split_at(digits);
    let connection = if number.is_empty() { 1 } else { number.parse()? };
    let action = match rest.split_once(' ').unwrap_or((rest, "")) {
        (">", text) => Action::Send(text.to_owned()),
        ("<", json) => Action::Expect(serde_json::from_str(json)?),
        ("x", _) => Action::Close,
        _ => bail!("neither `>` nor `<` nor `x`"),
    };
    Ok(Step { connection, action })
}

/// Takes the fenced block with this word out of a Markdown page.
pub fn fenced<'a>(page: &'a str, word: &str) -> Result<&'a str> {
    let (_, rest) = page.split_once(&format!("```{word}\n")).context("the page has no such block")?;
    Ok(rest.split_once("```").context("the block has no end")?.0)
}

/// Values remembered by their words.
#[derive(Clone, Default)]
pub struct Memory(BTreeMap<String, Value>);

impl Memory {
    /// Compares what came with what was expected.
    pub fn compare(&mut self, expected: &Value, came: &Value) -> Result<()> {
        self.matches(expected, came).with_context(|| format!("\nexpected {expected}\n    came {came}"))
    }

    fn matches(&mut self, expected: &Value, came: &Value) -> Result<()> {
        match (expected, came) {
            (Value::String(pattern), _) if pattern.starts_with('*') => self.remember(&pattern[1..], came),
            (Value::Object(wanted), Value::Object(got)) => {
                for (name, value) in wanted {
                    let found = got.get(name).with_context(|| format!("`{name}` is missing"))?;
                    self.matches(value, found)?;
                }
                let extra: Vec<&String> = got.keys().filter(|name| !wanted.contains_key(*name)).collect();
                ensure!(extra.is_empty(), "unexpected {extra:?}");
                Ok(())
            }
            (Value::Array(wanted), Value::Array(got)) if wanted.first() == Some(&json!(ANY_ORDER)) => {
                self.matches_as_set(&wanted[1..], got)
            }
            (Value::Array(wanted), Value::Array(got)) => {
                ensure!(wanted.len() == got.len(), "{} elements, not {}", got.len(), wanted.len());
                wanted.iter().zip(got).try_for_each(|(wanted, got)| self.matches(wanted, got))
            }
            _ => {
                ensure!(expected == came, "{came} is not {expected}");
                Ok(())
            }
        }
    }

    /// Each wanted element takes the first that fits it; good enough where elements differ.
    fn matches_as_set(&mut self, wanted: &[Value], got: &[Value]) -> Result<()> {
        ensure!(wanted.len() == got.len(), "{} elements, not {}", got.len(), wanted.len());
        let mut left: Vec<&Value> = got.iter().collect();
        for element in wanted {
            let fits = left.iter().position(|value| self.clone().matches(element, value).is_ok());
            let fits = fits.with_context(|| format!("no element fits {element}"))?;
            self.matches(element, left.remove(fits))?;
        }
        Ok(())
    }

    fn remember(&mut self, word: &str, came: &Value) -> Result<()> {
        if word.is_empty() {
            return Ok(());
        }
        let known = self.0.entry(word.to_owned()).or_insert_with(|| came.clone());
        ensure!(known == came, "{word} was {known} and is {came}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Memory, parse};
    use serde_json::json;

    #[test]
    fn parses_steps() {
        let steps = parse("# hello\n> not json\n2< {\"a\":1}\n2x\n").unwrap();
        assert_eq!(steps[0].action, Action::Send("not json".to_owned()));
        assert_eq!((steps[1].connection, &steps[1].action), (2, &Action::Expect(json!({"a": 1}))));
        assert_eq!(steps[2].action, Action::Close);
        assert!(parse("? x").is_err());
    }

    #[test]
    fn sets_are_compared_whatever_their_order() {
        let mut memory = Memory::default();
        memory.compare(&json!("*A"), &json!(2)).unwrap();
        let expected = json!(["*in any order", {"id": "*B"}, {"id": "*A"}]);
        assert!(
            memory.compare(&expected, &json!([{"id": 2}, {"id": 3}])).is_err(),
            "the first takes what it can"
        );
        let expected = json!(["*in any order", {"id": "*A"}, {"id": "*C"}]);
        memory.compare(&expected, &json!([{"id": 3}, {"id": 2}])).unwrap();
        assert!(memory.compare(&expected, &json!([{"id": 3}])).is_err());
    }

    #[test]
    fn words_must_stay_the_same() {
        let mut memory = Memory::default();
        let expected = json!({"id": "*ID", "time": "*"});
        memory.compare(&expected, &json!({"id": 7, "time": 1})).unwrap();
        memory.compare(&expected, &json!({"id": 7, "time": 2})).unwrap();
        assert!(memory.compare(&expected, &json!({"id": 8, "time": 2})).is_err());
        assert!(memory.compare(&expected, &json!({"id": 7})).is_err());
        assert!(memory.compare(&expected, &json!({"id": 7, "time": 2, "more": 1})).is_err());
    }
}
