//! A password from the person at the terminal, or from a file. Never from an argument: those stand in the shell's history
//! and in the list of processes.

use anyhow::{Context, bail, ensure};
use clap::Args;
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Bytes of a password file at most.
const MAX_FILE: u64 = 4096;

#[derive(Args)]
pub(crate) struct PasswordArgs {
    /// File with the password, its line's end left out; `-` is standard input. Without it you are asked.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// Reads the file, or asks twice.
    pub(crate) fn read(&self) -> anyhow::Result<Zeroizing<String>> {
        match &self.password_file {
            Some(path) if path == Path::new("-") => from(io::stdin().lock(), "standard input"),
            Some(path) => {
                let name = path.display().to_string();
                from(File::open(path).with_context(|| format!("could not read {name}"))?, &name)
            }
            None if io::stdin().is_terminal() => ask(),
            None => {
                bail!("there is no terminal to ask at: use --password-file FILE, or - for standard input")
            }
        }
    }
}

/// Reads a password from a file; `name` is for errors.
pub(crate) fn from(source: impl Read, name: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = source.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = read.with_context(|| format!("could not read a password from {name}"))?;
    ensure!(length as u64 <= MAX_FILE, "{name} is longer than a password can be");
    let end = text.trim_end_matches(['\r', '\n']).len();
    ensure!(end > 0, "{name} is empty");
    text.truncate(end);
    Ok(text)
}

fn ask() -> anyhow::Result<Zeroizing<String>> {
    let prompt =
        |text| rpassword::prompt_password(text).map(Zeroizing::new).context("could not ask for a password");
    let password = prompt("Password: ")?;
    ensure!(!password.is_empty(), "the password is empty");
    ensure!(prompt("Once more: ")? == password, "the two are not the same");
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::from;

    #[test]
    fn a_lines_end_is_not_part_of_it() {
        for (text, password) in
            [("secret\n", "secret"), ("secret\r\n", "secret"), (" a b ", " a b "), ("a\nb\n", "a\nb")]
        {
            assert_eq!(*from(text.as_bytes(), "test").unwrap(), password);
        }
        let long = "x".repeat(4097);
        for text in ["", "\n", &long] {
            assert!(from(text.as_bytes(), "test").is_err());
        }
    }
}
