//! Append-only logs; see `scripts/stream.lua` for what is stored and for the rule of epochs.

use super::{
    RedisBackplane,
    command::{APPEND, Arg, Command, READ, REMOVE, Script, parse},
    keys::{self, Ending},
};
use crate::{
    Answer, Append, Appended, BackplaneError, Cursor, Entry, Epoch, Name, Page, Position, Streams,
    clock::millis,
};
use ::redis::Value;
use futures_util::FutureExt;

impl Streams for RedisBackplane {
    fn append(&self, append: Append) -> Answer<Appended> {
        let Append { stream, payload, key, retention } = append;
        let mut command = on_stream(&APPEND, &stream);
        let mut remembered = 0;
        if let Some((key, ttl)) = key {
            command = command.key(keys::once_key(&stream, &key));
            remembered = millis(ttl).max(1);
        }
        let command = with_epoch(command)
            .arg(Arg::Publish)
            .arg(keys::key(&stream, Ending::Channel))
            .arg(payload)
            .arg(retention.max_len as u64)
            .arg(millis(retention.max_age))
            .arg(remembered);
        self.link.call(command, |reply| {
            let (epoch, offset, duplicate): (String, u64, u8) = parse(reply)?;
            Ok(Appended { position: position(&epoch, offset), duplicate: duplicate == 1 })
        })
    }

    fn read(&self, stream: &Name, cursor: Cursor, limit: usize) -> Answer<Page> {
        let (verb, from, to) = match cursor {
            Cursor::After(offset) => ("XRANGE", offset.saturating_add(1).to_string(), "+"),
            Cursor::Before(offset) => ("XREVRANGE", offset.saturating_sub(1).to_string(), "-"),
        };
        // One more than asked tells whether there are more.
        let count = (limit as u64).saturating_add(1);
        let command = with_epoch(on_stream(&READ, stream)).arg(verb).arg(from).arg(to).arg(count);
        self.link.call(command, move |reply| read_page(reply, limit))
    }

    fn tops(&self, streams: &[Name]) -> Answer<Vec<Position>> {
        let top = |name| with_epoch(on_stream(&READ, name)).arg("XRANGE").arg("-").arg("+").arg(0);
        self.link.call_all(streams.iter().map(top), |reply| read_page(reply, 0).map(|page| page.top))
    }

    fn remove(&self, stream: &Name) -> Answer<()> {
        self.link.call(with_epoch(on_stream(&REMOVE, stream)), |_| Ok(())).boxed()
    }
}

fn on_stream(script: &'static Script, stream: &Name) -> Command {
    Command::script(script).key(keys::key(stream, Ending::Meta)).key(keys::key(stream, Ending::Entries))
}

fn with_epoch(command: Command) -> Command {
    command.arg(Arg::Run).arg(format!("{:016x}", rand::random::<u64>()))
}

fn read_page(reply: Value, limit: usize) -> Result<Page, BackplaneError> {
    // Each entry is its id and its fields by turns: `p` and the payload.
    type Row = (String, Vec<bytes::Bytes>);
    let (epoch, top, rows): (String, u64, Vec<Row>) = parse(reply)?;
    let more = rows.len() > limit;
    let entry = |(id, fields): Row| {
        let offset = id.split_once('-').and_then(|(offset, _)| offset.parse().ok());
        let payload = fields.into_iter().nth(1);
        let (Some(offset), Some(payload)) = (offset, payload) else {
            return Err(BackplaneError::Refused(format!("entry {id} is not from a backplane")));
        };
        Ok(Entry { offset, payload })
    };
    let entries = rows.into_iter().take(limit).map(entry).collect::<Result<_, _>>()?;
    Ok(Page { entries, top: position(&epoch, top), more })
}

fn position(epoch: &str, offset: u64) -> Position {
    Position { epoch: Epoch(epoch.into()), offset }
}
