//! `patchbay events`: what has happened in a running suite, and what happens.

use crate::{cli::DATA, remote};
use anyhow::Context;
use clap::Args;
use patchbay_proto::console::v1::{
    Event, ListEventsRequest, ListEventsResponse, events_client::EventsClient,
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{self, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};
use tonic::{Code, Status};

/// How often it is asked whether there is something new.
const POLL: Duration = Duration::from_secs(1);

/// How long a connection is used: its token is good for 15 minutes.
const RENEW: Duration = Duration::from_mins(10);

#[derive(Args)]
pub(crate) struct EventsArgs {
    /// Shows what happens, until it is interrupted.
    #[arg(long)]
    follow: bool,
    /// What the type of the event begins with, such as `certificate.`.
    #[arg(long = "type", value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Events to begin with, at most; the newest.
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// Prints one JSON object a line, as it stands in the stream.
    #[arg(long)]
    json: bool,
    /// gRPC port of the console.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9100")]
    url: String,
    /// Data folder whose key signs the calls.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// Key file that signs, instead of the data folder's.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key: Option<PathBuf>,
}

type Client = EventsClient<remote::Connection>;

/// Whether somebody still reads what is printed.
type Printed = anyhow::Result<ControlFlow<()>>;

impl EventsArgs {
    async fn connect(&self) -> anyhow::Result<Client> {
        let connection = remote::connect("the console", &self.url, self.key.as_deref(), &self.data).await?;
        Ok(Client::new(connection))
    }

    /// Asks for so many events, or for as many as one answer may have.
    fn request(&self, wanted: usize) -> anyhow::Result<ListEventsRequest> {
        let page_size = u32::try_from(wanted.clamp(1, 1000))?;
        Ok(ListEventsRequest { type_prefix: self.prefix.clone(), page_size, ..Default::default() })
    }
}

/// Prints events, oldest first.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn show(args: &EventsArgs) -> anyhow::Result<()> {
    let mut client = args.connect().await?;
    let (events, position) = newest(args, &mut client).await?;
    for event in events.iter().rev() {
        if print(&text(args, event))?.is_break() {
            return Ok(());
        }
    }
    if args.follow { follow(args, client, position).await } else { Ok(()) }
}

/// The newest events, newest first, and where newer ones go on.
async fn newest(args: &EventsArgs, client: &mut Client) -> anyhow::Result<(Vec<Event>, String)> {
    let (mut events, mut position, mut page_token) = (Vec::new(), None, String::new());
    loop {
        let wanted = args.last.saturating_sub(events.len());
        let request = ListEventsRequest { page_token, ..args.request(wanted)? };
        let answer = client.list_events(request).await.map_err(|status| refused(&status))?.into_inner();
        events.extend(answer.events.into_iter().take(wanted));
        position.get_or_insert(answer.position);
        page_token = answer.next_page_token;
        if page_token.is_empty() || events.len() >= args.last {
            return Ok((events, position.unwrap_or_default()));
        }
    }
}

/// A console that is away for a while is waited for; nothing is missed.
async fn follow(args: &EventsArgs, mut client: Client, mut after: String) -> anyhow::Result<()> {
    let mut connected = Instant::now();
    loop {
        if connected.elapsed() > RENEW
            && let Ok(renewed) = args.connect().await
        {
            (client, connected) = (renewed, Instant::now());
        }
        let request = ListEventsRequest { after: after.clone(), ..args.request(1000)? };
        let answer = match client.list_events(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if is_passing(&status) => {
                tokio::time::sleep(POLL).await;
                continue;
            }
            Err(status) => return Err(refused(&status)),
        };
        let ListEventsResponse { events, position, has_more, is_lossy, .. } = answer;
        after = position;
        let lost = is_lossy.then(|| lost(args));
        for line in lost.into_iter().chain(events.iter().map(|event| text(args, event))) {
            if print(&line)?.is_break() {
                return Ok(());
            }
        }
        if !has_more {
            tokio::time::sleep(POLL).await;
        }
    }
}

fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

fn refused(status: &Status) -> anyhow::Error {
    remote::refused_by("the console", status)
}

fn lost(args: &EventsArgs) -> String {
    let words = "some events were lost, because the stream does not keep so many";
    if args.json { json!({ "lost": words }).to_string() } else { format!("-- {words}") }
}

/// As `cli::print`, which does not tell that nobody reads.
fn print(line: &str) -> Printed {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("could not write to standard output"),
    }
}

fn text(args: &EventsArgs, event: &Event) -> String {
    if args.json { cloud_event(event) } else { line(event) }
}

fn time(event: &Event) -> String {
    let time = event.time.unwrap_or_default();
    jiff::Timestamp::new(time.seconds, time.nanos).map(|time| time.to_string()).unwrap_or_default()
}

/// What others wrote is shown without what would steer a terminal: control characters, and marks that turn the direction of writing, are written as escapes.
fn line(event: &Event) -> String {
    let line = format!("{}  {:<22} {}  {}", time(event), event.r#type, event.subject, event.data);
    harmless(&line)
}

/// Escapes as JSON has them, so that JSON stays what it is.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let steers = letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            write!(shown, "\\u{:04x}", u32::from(letter)).expect("a string takes all that is written");
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn cloud_event(event: &Event) -> String {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let event = json!({
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.r#type,
        "subject": event.subject,
        "time": time(event),
        "datacontenttype": "application/json",
        "data": data,
    });
    harmless(&event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        let event = Event {
            subject: "a\u{1b}[2J\u{9b}2J\u{202e}b".to_owned(),
            data: "{\"name\":\"x\u{9b}31m\u{7f}\u{2066}y\"}".to_owned(),
            ..Event::default()
        };
        let json = cloud_event(&event);
        for shown in [line(&event), json.clone()] {
            assert!(
                !shown.contains(|it: char| it.is_control() || matches!(it, '\u{202e}' | '\u{2066}')),
                "{shown:?}"
            );
        }
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["subject"], event.subject);
        assert_eq!(read["data"]["name"], "x\u{9b}31m\u{7f}\u{2066}y");
    }
}
