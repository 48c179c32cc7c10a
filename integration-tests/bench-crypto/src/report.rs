//! Medians over the rounds, as tables that say where a goal was missed.

use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// What was measured; the number is the bits of an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Echo,
    Encrypt,
    EncryptBatch,
    Decrypt(u32),
    Sign(u32),
    DecryptBatch(u32),
    SignBatch(u32),
    InProcessDecrypt(u32),
    InProcessSign(u32),
    OpensslSign(u32),
    PythonDecrypt(u32),
    PythonSign(u32),
    Argon2,
    PythonArgon2,
    StreamEcho,
    StreamEncrypt,
    StreamDecrypt,
    StreamCipher,
}

impl Subject {
    /// Whether an operation is a GiB.
    fn is_stream(self) -> bool {
        self >= Self::StreamEcho
    }
}

/// Latencies of one round, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// CPU seconds an operation, one for each round.
    seconds: BTreeMap<Subject, Vec<f64>>,
    /// Encryptions alone.
    pub(crate) alone: Vec<Percentiles>,
    /// Encryptions beside waiting password hashes.
    pub(crate) beside: Vec<Percentiles>,
    /// A message of 10 GB.
    pub(crate) large: Option<Large>,
}

/// What a large message took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Large {
    /// Bytes of it.
    pub(crate) bytes: u64,
    /// Growth of the service's largest memory while it was encrypted, in MiB.
    pub(crate) growth_mib: f64,
    /// Bytes of the range that was decrypted afterwards, and where it began.
    pub(crate) range: (u64, u64),
    /// From the call to the last byte of the range, one for each try, in milliseconds.
    pub(crate) range_ms: Vec<f64>,
}

/// A bar and what was reached.
#[derive(Clone, Debug, Serialize)]
struct Goal {
    what: String,
    reached: f64,
    bar: String,
    is_met: bool,
}

impl Goal {
    fn at_most(what: String, reached: f64, bar: f64) -> Self {
        Self { what, reached, bar: format!("at most {bar}"), is_met: reached <= bar }
    }

    fn at_least(what: String, reached: f64, bar: f64) -> Self {
        Self { what, reached, bar: format!("at least {bar}"), is_met: reached >= bar }
    }
}

impl Report {
    /// Adds one round's CPU seconds an operation.
    pub(crate) fn add(&mut self, subject: Subject, seconds: f64) {
        self.seconds.entry(subject).or_default().push(seconds);
    }

    fn median(&self, subject: Subject) -> f64 {
        median(self.seconds.get(&subject).into_iter().flatten().copied())
    }

    /// Median over the rounds of the ratio within each round, since a machine's speed changes between rounds.
    fn ratio(&self, above: Subject, below: Subject) -> f64 {
        let of = |subject| self.seconds.get(&subject).map(Vec::as_slice).unwrap_or_default();
        median(of(above).iter().zip(of(below)).map(|(above, below)| above / below))
    }

    /// Median over the rounds of what a stream cost, over what an echo and the cipher cost together in the same round.
    fn beside_sum(&self, subject: Subject) -> f64 {
        let of = |subject| self.seconds.get(&subject).map(Vec::as_slice).unwrap_or_default();
        let parts = of(Subject::StreamEcho).iter().zip(of(Subject::StreamCipher));
        median(of(subject).iter().zip(parts).map(|(whole, (echo, cipher))| whole / (echo + cipher)))
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = vec![
            Goal::at_most(
                "AES-256-GCM, 1 KiB: CPU of a call beside an echo's".to_owned(),
                self.ratio(Subject::Encrypt, Subject::Echo),
                1.3,
            ),
            Goal::at_least(
                "AES-256-GCM, 1 KiB, batches of 500: items a CPU second".to_owned(),
                1.0 / self.median(Subject::EncryptBatch),
                400_000.0,
            ),
            Goal::at_least(
                "Argon2id: speed beside argon2-cffi".to_owned(),
                self.ratio(Subject::PythonArgon2, Subject::Argon2),
                0.9,
            ),
        ];
        goals.extend(self.goals_of_streams());
        goals.extend(self.goals_of_rsa());
        goals
    }

    fn goals_of_streams(&self) -> Vec<Goal> {
        let ways = [(Subject::StreamEncrypt, "encryption"), (Subject::StreamDecrypt, "decryption")];
        let mut goals: Vec<Goal> = ways
            .into_iter()
            .map(|(subject, what)| {
                let what = format!("stream, {what}: CPU beside an echo of the stream and the cipher alone");
                Goal::at_most(what, self.beside_sum(subject), 1.3)
            })
            .collect();
        if let Some(large) = &self.large {
            // The usual sizes are 10 GB and 9 GB; a shorter run says what its own were.
            let (size, (length, offset)) = (large.bytes, large.range);
            let growth = format!("stream of {size} bytes: growth of memory, MiB");
            goals.push(Goal::at_most(growth, large.growth_mib, 16.0));
            let range =
                format!("{length} bytes at byte {offset} of it, ms from the call to the last byte, median");
            goals.push(Goal::at_most(range, median(large.range_ms.iter().copied()), 20.0));
        }
        goals
    }

    fn goals_of_rsa(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for bits in crate::calls::RSA_BITS {
            let raw = [Subject::InProcessDecrypt(bits), Subject::InProcessSign(bits)];
            let ours = [
                (Subject::Decrypt(bits), Subject::Sign(bits), "a call", 0.85),
                (Subject::DecryptBatch(bits), Subject::SignBatch(bits), "an item of a batch", 0.95),
            ];
            for (decrypt, sign, what, bar) in ours {
                for (raw, own, name) in
                    [(raw[0], decrypt, "OAEP decryption"), (raw[1], sign, "PSS signature")]
                {
                    let what = format!("RSA-{bits} {name}, {what}: speed beside the library in process");
                    goals.push(Goal::at_least(what, self.ratio(raw, own), bar));
                }
            }
        }
        goals
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            cpu_seconds: BTreeMap<String, &'a Vec<f64>>,
            alone: &'a [Percentiles],
            beside: &'a [Percentiles],
            large: Option<&'a Large>,
            goals: Vec<Goal>,
        }
        let cpu_seconds =
            self.seconds.iter().map(|(subject, rounds)| (subject.to_string(), rounds)).collect();
        let (alone, beside, large) = (&self.alone, &self.beside, self.large.as_ref());
        Shown { cpu_seconds, alone, beside, large, goals: self.goals() }.serialize(serializer)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo of 1 KiB, an authenticated call"),
            Self::Encrypt => f.write_str("AES-256-GCM 1 KiB, a call"),
            Self::EncryptBatch => f.write_str("AES-256-GCM 1 KiB, in batches of 500"),
            Self::Decrypt(bits) => write!(f, "RSA-{bits} OAEP decryption, a call"),
            Self::Sign(bits) => write!(f, "RSA-{bits} PSS signature, a call"),
            Self::DecryptBatch(bits) => write!(f, "RSA-{bits} OAEP decryption, in batches of 100"),
            Self::SignBatch(bits) => write!(f, "RSA-{bits} PSS signature, in batches of 100"),
            Self::InProcessDecrypt(bits) => write!(f, "RSA-{bits} OAEP decryption, aws-lc-rs in process"),
            Self::InProcessSign(bits) => write!(f, "RSA-{bits} PSS signature, aws-lc-rs in process"),
            Self::OpensslSign(bits) => write!(f, "RSA-{bits} PKCS#1 signature, openssl speed"),
            Self::PythonDecrypt(bits) => write!(f, "RSA-{bits} OAEP decryption, Python cryptography"),
            Self::PythonSign(bits) => write!(f, "RSA-{bits} PSS signature, Python cryptography"),
            Self::Argon2 => f.write_str("Argon2id 19 MiB, 2 passes, a call"),
            Self::PythonArgon2 => f.write_str("Argon2id 19 MiB, 2 passes, argon2-cffi"),
            Self::StreamEcho => f.write_str("stream of 256 KiB pieces, echo"),
            Self::StreamEncrypt => f.write_str("stream of 256 KiB pieces, encryption (Cobblestone-256)"),
            Self::StreamDecrypt => f.write_str("stream of 256 KiB pieces, decryption"),
            Self::StreamCipher => f.write_str("AES-256-GCM in chunks of 16 KiB, aws-lc-rs in process"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| subject | CPU us an operation | operations a CPU second |\n|---|---|---|")?;
        for subject in self.seconds.keys().filter(|subject| !subject.is_stream()) {
            let seconds = self.median(*subject);
            writeln!(f, "| {subject} | {:.2} | {:.0} |", seconds * 1e6, 1.0 / seconds)?;
        }
        writeln!(f, "\n| streams | CPU s a GiB |\n|---|---|")?;
        for subject in self.seconds.keys().filter(|subject| subject.is_stream()) {
            writeln!(f, "| {subject} | {:.3} |", self.median(*subject))?;
        }
        writeln!(f, "\n| encryption of 1 KiB, 500 a second | p50 ms | p99 ms |\n|---|---|---|")?;
        for (name, rounds) in [("alone", &self.alone), ("beside 100 waiting password hashes", &self.beside)] {
            let p50 = median(rounds.iter().map(|round| round.p50_ms));
            let p99 = median(rounds.iter().map(|round| round.p99_ms));
            writeln!(f, "| {name} | {p50:.2} | {p99:.2} |")?;
        }
        writeln!(f, "\n| goal | reached | bar | |\n|---|---|---|---|")?;
        for goal in self.goals() {
            let verdict = if goal.is_met { "met" } else { "**missed**" };
            let reached = if goal.reached > 1000.0 {
                format!("{:.0}", goal.reached)
            } else {
                format!("{:.3}", goal.reached)
            };
            writeln!(f, "| {} | {reached} | {} | {verdict} |", goal.what, goal.bar)?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
