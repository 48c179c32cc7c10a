//! The words that change a connection to TLS: FTP (RFC 4217), SMTP (RFC 3207) and IMAP (RFC 9051, section 6.2.1).
//!
//! Bytes in, bytes out. A server that says anything but yes is quoted, so that one can see what it wants.

use crate::report::StartTls;

/// Bytes of a line; the protocols allow 512 to 8,192.
const LINE_BYTES: usize = 8_192;
/// Bytes that a server may say in all before TLS begins.
const TOTAL_BYTES: usize = 64 * 1024;
/// Characters of a line that are quoted.
const QUOTED: usize = 120;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, then read.
    Send(Vec<u8>),
    /// Read.
    Read,
    /// Begin with TLS.
    Ready,
}

/// The server will not change to TLS, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Greeting,
    Capabilities,
    Yes,
    Nothing,
}

/// A conversation up to the first byte of TLS.
#[derive(Debug)]
pub struct Dialogue {
    protocol: StartTls,
    wait: Wait,
    line: Vec<u8>,
    total: usize,
    is_offered: bool,
}

impl Dialogue {
    /// Waits for the server's greeting; with TLS from the start there is nothing to say.
    pub fn new(protocol: StartTls) -> Self {
        let wait = if protocol == StartTls::None { Wait::Nothing } else { Wait::Greeting };
        Self { protocol, wait, line: Vec::new(), total: 0, is_offered: false }
    }

    /// What is to be done first.
    pub fn start(&self) -> Step {
        if self.wait == Wait::Nothing { Step::Ready } else { Step::Read }
    }

    /// Takes what the server said, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Step, Refused> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_BYTES {
            return Err(Refused("the server says more than anybody would before TLS".to_owned()));
        }
        let mut step = Step::Read;
        for byte in bytes {
            if step != Step::Read {
                // Words that came along in the clear could be a third party's (RFC 3207, section 6).
                return Err(Refused("the server went on talking where it was to wait".to_owned()));
            }
            if *byte != b'\n' {
                self.push(*byte)?;
                continue;
            }
            let line = std::mem::take(&mut self.line);
            step = self.line(String::from_utf8_lossy(&line).trim_end_matches('\r'))?;
        }
        Ok(step)
    }

    /// What was waited for, for a server that says no more.
    pub fn waiting_for(&self) -> &'static str {
        match self.wait {
            Wait::Greeting => "its greeting",
            Wait::Capabilities => "what it offers",
            Wait::Yes | Wait::Nothing => "its answer to the wish for TLS",
        }
    }

    fn push(&mut self, byte: u8) -> Result<(), Refused> {
        if self.line.len() >= LINE_BYTES {
            return Err(self.unexpected(&String::from_utf8_lossy(&self.line)));
        }
        self.line.push(byte);
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<Step, Refused> {
        match self.protocol {
            StartTls::None => Ok(Step::Ready),
            StartTls::Ftp => self.ftp(line),
            StartTls::Smtp => self.smtp(line),
            StartTls::Imap => self.imap(line),
        }
    }

    fn ftp(&mut self, line: &str) -> Result<Step, Refused> {
        let Some((code, End::Last)) = self.reply(line)? else { return Ok(Step::Read) };
        match (self.wait, code) {
            (Wait::Greeting, 220) => Ok(self.send("AUTH TLS\r\n", Wait::Yes)),
            // 1xx: it will be ready soon, and says so again.
            (Wait::Greeting, 100..=199) => Ok(Step::Read),
            (Wait::Yes, 234) => Ok(self.ready()),
            (Wait::Yes, _) => Err(refused("AUTH TLS", line)),
            _ => Err(self.unexpected(line)),
        }
    }

    fn smtp(&mut self, line: &str) -> Result<Step, Refused> {
        let Some((code, end)) = self.reply(line)? else { return Ok(Step::Read) };
        if self.wait == Wait::Capabilities && code == 250 {
            self.is_offered |= line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"));
        }
        if end == End::More {
            return Ok(Step::Read);
        }
        match (self.wait, code) {
            (Wait::Greeting, 220) => Ok(self.send("EHLO patchbay.invalid\r\n", Wait::Capabilities)),
            (Wait::Capabilities, 250) if self.is_offered => Ok(self.send("STARTTLS\r\n", Wait::Yes)),
            (Wait::Capabilities, 250) => {
                Err(Refused("the server does not offer STARTTLS in its answer to EHLO".to_owned()))
            }
            (Wait::Capabilities, _) => Err(refused("EHLO", line)),
            (Wait::Yes, 220) => Ok(self.ready()),
            (Wait::Yes, _) => Err(refused("STARTTLS", line)),
            _ => Err(self.unexpected(line)),
        }
    }

    fn imap(&mut self, line: &str) -> Result<Step, Refused> {
        let words = line.to_ascii_uppercase();
        match self.wait {
            Wait::Greeting if words.starts_with("* OK") => {
                Ok(self.send("p1 CAPABILITY\r\n", Wait::Capabilities))
            }
            Wait::Capabilities if words.starts_with("* CAPABILITY ") => {
                self.is_offered = words.split(' ').any(|word| word == "STARTTLS");
                Ok(Step::Read)
            }
            Wait::Capabilities | Wait::Yes if words.starts_with("* ") && !words.starts_with("* BYE") => {
                Ok(Step::Read)
            }
            Wait::Capabilities if words.starts_with("P1 OK") && self.is_offered => {
                Ok(self.send("p2 STARTTLS\r\n", Wait::Yes))
            }
            Wait::Capabilities if words.starts_with("P1 OK") => {
                Err(Refused("the server does not offer STARTTLS among its capabilities".to_owned()))
            }
            Wait::Yes if words.starts_with("P2 OK") => Ok(self.ready()),
            Wait::Yes => Err(refused("STARTTLS", line)),
            _ => Err(self.unexpected(line)),
        }
    }

    /// A line of FTP or SMTP: a code, and whether more lines follow. None for lines within an answer of FTP, which need no code.
    fn reply(&self, line: &str) -> Result<Option<(u16, End)>, Refused> {
        let code = line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        let end = match line.as_bytes().get(3) {
            None | Some(b' ') => Some(End::Last),
            Some(b'-') => Some(End::More),
            Some(_) => None,
        };
        match (code.and_then(|code| code.parse().ok()), end) {
            (Some(code), Some(end)) => Ok(Some((code, end))),
            _ if self.protocol == StartTls::Ftp && self.total > line.len() + 2 => Ok(None),
            _ => Err(self.unexpected(line)),
        }
    }

    fn send(&mut self, words: &str, wait: Wait) -> Step {
        self.wait = wait;
        Step::Send(words.as_bytes().to_vec())
    }

    fn ready(&mut self) -> Step {
        self.wait = Wait::Nothing;
        Step::Ready
    }

    fn unexpected(&self, line: &str) -> Refused {
        let protocol = match self.protocol {
            StartTls::None => "TLS",
            StartTls::Ftp => "FTP",
            StartTls::Smtp => "SMTP",
            StartTls::Imap => "IMAP",
        };
        Refused(format!("the server said `{}` where {protocol} has {}", quoted(line), self.waiting_for()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    More,
    Last,
}

fn refused(command: &str, line: &str) -> Refused {
    Refused(format!("the server answered `{}` to {command}", quoted(line)))
}

fn quoted(line: &str) -> String {
    line.chars().take(QUOTED).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[path = "start_tls_tests.rs"]
mod tests;
