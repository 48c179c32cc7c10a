//! Who is in a group; see `scripts/presence.lua` for what is stored.

use super::{
    RedisBackplane,
    command::{Command, JOIN, LEAVE, MEMBERS, REAP, STATS, Script, parse},
    keys::{self, Ending},
};
use crate::{Answer, BackplaneError, Member, Members, Name, NodeId, Presence, PresenceStats, clock::millis};
use bytes::Bytes;
use futures_util::FutureExt;
use std::{collections::HashMap, time::Duration};

/// The parts of a group, in the order the scripts take them.
const PARTS: [Ending; 4] = [Ending::Members, Ending::MembersByExpiry, Ending::MembersInOrder, Ending::Users];

/// Most members in one call of the join script, so that none holds Redis up for long.
const JOINS: usize = 128;

impl Presence for RedisBackplane {
    fn join(&self, node: &NodeId, joins: Vec<(Name, Member)>, ttl: Duration) -> Answer<()> {
        let mut groups: HashMap<Name, Vec<Member>> = HashMap::new();
        for (group, member) in joins {
            groups.entry(group).or_default().push(member);
        }
        let chunks =
            groups.iter().flat_map(|(group, members)| members.chunks(JOINS).map(move |some| (group, some)));
        let commands = chunks.map(|(group, members)| join_command(node, group, members, ttl));
        self.link.call_all(commands, |_| Ok(())).map(|joined| joined.map(drop)).boxed()
    }

    fn leave(&self, group: &Name, member: &str) -> Answer<bool> {
        self.link.call(on_group(&LEAVE, group).arg(member), parse)
    }

    fn members(&self, group: &Name, limit: usize) -> Answer<Members> {
        self.link.call(on_group(&MEMBERS, group).arg(limit as u64), |reply| {
            let mut found = parse::<Vec<Bytes>>(reply)?.into_iter();
            let total = found.next().map(text).transpose()?.and_then(|total| total.parse().ok());
            let mut members = Vec::new();
            while let (Some(id), Some(seat)) = (found.next(), found.next()) {
                members.push(read_seat(id, &seat)?);
            }
            Ok(Members { total: total.unwrap_or(members.len()), members })
        })
    }

    fn stats(&self, group: &Name) -> Answer<PresenceStats> {
        self.link.call(on_group(&STATS, group), |reply| {
            let (clients, users) = parse(reply)?;
            Ok(PresenceStats { clients, users })
        })
    }

    fn reap(&self, node: &NodeId) -> Answer<Vec<(Name, Member)>> {
        let reap_shard = |shard| {
            let command = Command::script(&REAP).key(keys::seats_key(shard, node));
            let command = command.arg(node.0.as_ref()).arg(keys::prefix(shard));
            PARTS.into_iter().fold(command, |command, part| command.arg(part.text()))
        };
        let reaped = self.link.call_all((0..keys::SHARDS).map(reap_shard), read_reaped);
        async move { Ok(reaped.await?.into_iter().flatten().collect()) }.boxed()
    }
}

fn on_group(script: &'static Script, group: &Name) -> Command {
    Command::script(script).keys(PARTS.map(|part| keys::key(group, part)))
}

fn join_command(node: &NodeId, group: &Name, members: &[Member], ttl: Duration) -> Command {
    let command = on_group(&JOIN, group)
        .key(keys::seats_key(keys::shard(group.id()), node))
        .arg(millis(ttl).max(1))
        .arg(group.to_string());
    members.iter().fold(command, |command, member| {
        command.arg(member.id.as_ref()).arg(member.user.as_ref()).arg(write_seat(node, member))
    })
}

/// `<#node>:<#user>:<node><user><info>`, read by the scripts too.
fn write_seat(node: &NodeId, member: &Member) -> Bytes {
    let head = format!("{}:{}:{node}{}", node.0.len(), member.user.len(), member.user);
    [head.as_bytes(), &member.info].concat().into()
}

fn read_seat(id: Bytes, seat: &Bytes) -> Result<Member, BackplaneError> {
    let (user, info) = split_seat(seat).ok_or_else(malformed)?;
    Ok(Member { id: text(id)?.into(), user: text(user)?.into(), info })
}

fn split_seat(seat: &Bytes) -> Option<(Bytes, Bytes)> {
    let mut parts = seat.splitn(3, |byte| *byte == b':');
    let mut length = || std::str::from_utf8(parts.next()?).ok()?.parse::<usize>().ok();
    let (node_length, user_length) = (length()?, length()?);
    let user_start = (seat.len() - parts.next()?.len()).checked_add(node_length)?;
    let info_start = user_start.checked_add(user_length)?;
    (info_start <= seat.len()).then(|| (seat.slice(user_start..info_start), seat.slice(info_start..)))
}

fn read_reaped(reply: ::redis::Value) -> Result<Vec<(Name, Member)>, BackplaneError> {
    let mut found = parse::<Vec<Bytes>>(reply)?.into_iter();
    let mut reaped = Vec::new();
    while let (Some(group), Some(id), Some(seat)) = (found.next(), found.next(), found.next()) {
        let group = Name::parse(&text(group)?).ok_or_else(malformed)?;
        reaped.push((group, read_seat(id, &seat)?));
    }
    Ok(reaped)
}

fn text(bytes: Bytes) -> Result<String, BackplaneError> {
    String::from_utf8(bytes.into()).map_err(|_| malformed())
}

fn malformed() -> BackplaneError {
    BackplaneError::Refused("a member in Redis is not from a backplane".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_survive_colons_and_binary_info() {
        let member =
            Member { id: "c:1".into(), user: "u:ü".into(), info: Bytes::from_static(&[0, b':', 255]) };
        let seat = write_seat(&NodeId("n:1".into()), &member);
        assert_eq!(read_seat(Bytes::from_static(b"c:1"), &seat).unwrap(), member);
        assert!(read_seat(Bytes::from_static(b"c"), &Bytes::from_static(b"9:9:short")).is_err());
    }
}
